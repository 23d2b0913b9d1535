-- The demonstration's ERP, as a MariaDB or MySQL application with a past would lay it out.

ALTER DATABASE CHARACTER SET utf8mb4;

CREATE TABLE customers (
  cust_id INT UNSIGNED AUTO_INCREMENT PRIMARY KEY,
  company_code CHAR(4) NOT NULL,
  cust_code VARCHAR(20) NOT NULL UNIQUE,
  display_name VARCHAR(120) NOT NULL,
  search_name VARCHAR(120) AS (UPPER(display_name)) STORED,
  mail VARCHAR(254),
  telephone VARCHAR(40),
  tier TINYINT UNSIGNED NOT NULL DEFAULT 1,
  mailing ENUM('Y', 'N') NOT NULL DEFAULT 'N',
  labels SET('vip', 'wholesale', 'export', 'education', 'press') NOT NULL DEFAULT '',
  credit_limit DECIMAL(12,2) NOT NULL DEFAULT 0,
  since DATE,
  last_contact DATETIME,
  addr_street VARCHAR(120),
  addr_zip VARCHAR(10),
  addr_city VARCHAR(80),
  addr_country VARCHAR(3),
  price_group VARCHAR(8) NOT NULL DEFAULT 'STD',
  is_vendor BOOLEAN NOT NULL DEFAULT FALSE,
  active BOOLEAN NOT NULL DEFAULT TRUE,
  updated_at TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6),
  KEY (mail)
) AUTO_INCREMENT = 501;

CREATE TABLE items (
  item_id INT UNSIGNED AUTO_INCREMENT PRIMARY KEY,
  item_no VARCHAR(20) NOT NULL UNIQUE,
  description VARCHAR(80) NOT NULL,
  uom CHAR(3) NOT NULL DEFAULT 'PCE',
  list_price DECIMAL(12,2) NOT NULL DEFAULT 0,
  on_hand INT NOT NULL DEFAULT 0,
  weight DOUBLE,
  gl_account CHAR(4) NOT NULL,
  vat_code TINYINT NOT NULL DEFAULT 1,
  updated_at TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6)
) AUTO_INCREMENT = 7001;

CREATE TABLE sales_orders (
  order_id BIGINT UNSIGNED AUTO_INCREMENT PRIMARY KEY,
  order_no VARCHAR(20) NOT NULL UNIQUE,
  plant CHAR(4) NOT NULL,
  cust_id INT UNSIGNED NOT NULL,
  state SMALLINT NOT NULL DEFAULT 10,
  ordered_at DATETIME NOT NULL,
  due_on DATE,
  clerk VARCHAR(40),
  remark VARCHAR(400) NOT NULL DEFAULT '',
  net_total DECIMAL(12,2) NOT NULL DEFAULT 0,
  updated_at TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6),
  FOREIGN KEY (cust_id) REFERENCES customers (cust_id)
) AUTO_INCREMENT = 90001;

CREATE TABLE sales_order_lines (
  order_id BIGINT UNSIGNED NOT NULL,
  pos SMALLINT UNSIGNED NOT NULL,
  item_id INT UNSIGNED NOT NULL,
  qty DECIMAL(12,3) NOT NULL,
  price DECIMAL(12,2) NOT NULL,
  updated_at TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6),
  PRIMARY KEY (order_id, pos),
  FOREIGN KEY (order_id) REFERENCES sales_orders (order_id),
  FOREIGN KEY (item_id) REFERENCES items (item_id)
);

-- The ERP keeps the total of an order itself, whoever writes its lines.
CREATE TRIGGER line_added AFTER INSERT ON sales_order_lines FOR EACH ROW
  UPDATE sales_orders SET net_total = (
    SELECT COALESCE(SUM(ROUND(qty * price, 2)), 0) FROM sales_order_lines WHERE order_id = NEW.order_id
  ) WHERE order_id = NEW.order_id;
CREATE TRIGGER line_changed AFTER UPDATE ON sales_order_lines FOR EACH ROW
  UPDATE sales_orders SET net_total = (
    SELECT COALESCE(SUM(ROUND(qty * price, 2)), 0) FROM sales_order_lines WHERE order_id = NEW.order_id
  ) WHERE order_id = NEW.order_id;
CREATE TRIGGER line_removed AFTER DELETE ON sales_order_lines FOR EACH ROW
  UPDATE sales_orders SET net_total = (
    SELECT COALESCE(SUM(ROUND(qty * price, 2)), 0) FROM sales_order_lines WHERE order_id = OLD.order_id
  ) WHERE order_id = OLD.order_id;
