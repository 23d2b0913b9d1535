-- The ERP of the torture run, in MySQL or MariaDB: it rounds credits, trims names, and adds up orders
-- by itself.

ALTER DATABASE CHARACTER SET utf8mb4;

CREATE TABLE customers (
  cust_id INT UNSIGNED AUTO_INCREMENT PRIMARY KEY,
  cust_code VARCHAR(20) NOT NULL UNIQUE,
  display_name VARCHAR(120) NOT NULL DEFAULT '',
  telephone VARCHAR(40),
  tier TINYINT UNSIGNED NOT NULL DEFAULT 1,
  credit DECIMAL(12,2) NOT NULL DEFAULT 0,
  points INT NOT NULL DEFAULT 0,
  note VARCHAR(200) NOT NULL DEFAULT '',
  addr_street VARCHAR(120),
  addr_city VARCHAR(80),
  is_vendor BOOLEAN NOT NULL DEFAULT FALSE,
  active BOOLEAN NOT NULL DEFAULT TRUE,
  updated_at TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6)
);

-- No unique index: nothing but Carrick itself keeps a number from being there twice.
CREATE TABLE items (
  item_id INT UNSIGNED AUTO_INCREMENT PRIMARY KEY,
  item_no VARCHAR(20) NOT NULL,
  description VARCHAR(80) NOT NULL,
  list_price DECIMAL(12,2) NOT NULL DEFAULT 0,
  on_hand INT NOT NULL DEFAULT 0,
  updated_at TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6),
  KEY (item_no)
);

CREATE TABLE sales_orders (
  order_id BIGINT UNSIGNED AUTO_INCREMENT PRIMARY KEY,
  order_no VARCHAR(20) NOT NULL UNIQUE,
  cust_id INT UNSIGNED NOT NULL,
  state SMALLINT NOT NULL DEFAULT 10,
  remark VARCHAR(200) NOT NULL DEFAULT '',
  net_total DECIMAL(12,2) NOT NULL DEFAULT 0,
  updated_at TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6),
  FOREIGN KEY (cust_id) REFERENCES customers (cust_id)
);

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

CREATE TRIGGER round_new BEFORE INSERT ON customers FOR EACH ROW
  SET NEW.credit = ROUND(NEW.credit, 1), NEW.display_name = TRIM(NEW.display_name);
CREATE TRIGGER round_changed BEFORE UPDATE ON customers FOR EACH ROW
  SET NEW.credit = ROUND(NEW.credit, 1), NEW.display_name = TRIM(NEW.display_name);

CREATE TRIGGER line_added AFTER INSERT ON sales_order_lines FOR EACH ROW
  UPDATE sales_orders SET net_total = net_total + ROUND(NEW.qty * NEW.price, 2)
  WHERE order_id = NEW.order_id;
CREATE TRIGGER line_changed AFTER UPDATE ON sales_order_lines FOR EACH ROW
  UPDATE sales_orders
  SET net_total = net_total + ROUND(NEW.qty * NEW.price, 2) - ROUND(OLD.qty * OLD.price, 2)
  WHERE order_id = NEW.order_id;
CREATE TRIGGER line_removed AFTER DELETE ON sales_order_lines FOR EACH ROW
  UPDATE sales_orders SET net_total = net_total - ROUND(OLD.qty * OLD.price, 2)
  WHERE order_id = OLD.order_id;
