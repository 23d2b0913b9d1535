-- The demonstration's CRM, as an application on MySQL or MariaDB would lay it out.

ALTER DATABASE CHARACTER SET utf8mb4;

CREATE TABLE accounts (
  id BIGINT UNSIGNED AUTO_INCREMENT PRIMARY KEY,
  account_no VARCHAR(20) NOT NULL UNIQUE,
  first_name VARCHAR(80) NOT NULL DEFAULT '',
  last_name VARCHAR(80) NOT NULL DEFAULT '',
  email VARCHAR(254),
  phone VARCHAR(40),
  stage ENUM('S', 'G', 'P') NOT NULL DEFAULT 'S',
  newsletter BOOLEAN NOT NULL DEFAULT FALSE,
  tags SET('vip', 'wholesale', 'export', 'education', 'press') NOT NULL DEFAULT '',
  credit_limit DECIMAL(14,4) NOT NULL DEFAULT 0,
  customer_since DATE,
  last_contact_at TIMESTAMP NULL,
  street VARCHAR(120),
  zip VARCHAR(10),
  city VARCHAR(80),
  country ENUM('DE', 'AT', 'CH'),
  owner VARCHAR(40) NOT NULL DEFAULT 'unassigned',
  lead_score INT,
  updated_at TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6),
  KEY (email)
);

CREATE TABLE catalogue (
  id BIGINT UNSIGNED AUTO_INCREMENT PRIMARY KEY,
  sku VARCHAR(20) NOT NULL UNIQUE,
  title VARCHAR(80) NOT NULL,
  unit ENUM('pc', 'kg', 'h') NOT NULL DEFAULT 'pc',
  unit_price DECIMAL(14,4) NOT NULL DEFAULT 0,
  stock INT NOT NULL DEFAULT 0,
  weight_kg DOUBLE,
  archived BOOLEAN NOT NULL DEFAULT FALSE,
  updated_at TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6)
);

CREATE TABLE orders (
  id BIGINT UNSIGNED AUTO_INCREMENT PRIMARY KEY,
  order_no VARCHAR(20) NOT NULL UNIQUE,
  account_id BIGINT UNSIGNED NOT NULL,
  status ENUM('draft', 'confirmed', 'shipped', 'cancelled') NOT NULL DEFAULT 'draft',
  ordered_at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
  due_on DATE,
  sales_rep VARCHAR(40),
  note VARCHAR(400) NOT NULL DEFAULT '',
  amount DECIMAL(14,4) NOT NULL DEFAULT 0,
  updated_at TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6),
  FOREIGN KEY (account_id) REFERENCES accounts (id)
);

-- No cascade from the order: what InnoDB deletes for a foreign key is not in the log.
CREATE TABLE order_items (
  id BIGINT UNSIGNED AUTO_INCREMENT PRIMARY KEY,
  order_id BIGINT UNSIGNED NOT NULL,
  line_no INT NOT NULL,
  product_id BIGINT UNSIGNED NOT NULL,
  quantity DECIMAL(10,2) NOT NULL,
  price DECIMAL(14,4) NOT NULL,
  updated_at TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6),
  UNIQUE (order_id, line_no),
  FOREIGN KEY (order_id) REFERENCES orders (id),
  FOREIGN KEY (product_id) REFERENCES catalogue (id)
);
