-- The demonstration's CRM, as a PostgreSQL application would lay it out.

create function touch() returns trigger language plpgsql as $$
begin
  new.updated_at := clock_timestamp();
  return new;
end $$;

create table accounts (
  id uuid primary key default gen_random_uuid(),
  account_no varchar(20) not null unique,
  first_name text not null default '',
  last_name text not null default '',
  email text,
  phone text,
  stage char(1) not null default 'S' check (stage in ('S', 'G', 'P')),
  newsletter boolean not null default false,
  tags text[] not null default '{}',
  credit_limit numeric(14,4) not null default 0,
  customer_since date,
  last_contact_at timestamptz(0),
  street text,
  zip text,
  city text,
  country char(2) check (country in ('DE', 'AT', 'CH')),
  owner text not null default 'unassigned',
  lead_score integer,
  updated_at timestamptz not null default clock_timestamp()
);

create table catalogue (
  id uuid primary key default gen_random_uuid(),
  sku varchar(20) not null unique,
  title text not null,
  unit text not null default 'pc' check (unit in ('pc', 'kg', 'h')),
  unit_price numeric(14,4) not null default 0,
  stock integer not null default 0,
  weight_kg double precision,
  archived boolean not null default false,
  updated_at timestamptz not null default clock_timestamp()
);

create table orders (
  id uuid primary key default gen_random_uuid(),
  order_no varchar(20) not null unique,
  account_id uuid not null references accounts,
  status text not null default 'draft'
    check (status in ('draft', 'confirmed', 'shipped', 'cancelled')),
  ordered_at timestamptz(0) not null default now(),
  due_on date,
  sales_rep text,
  note text not null default '',
  amount numeric(14,4) not null default 0,
  updated_at timestamptz not null default clock_timestamp()
);

create table order_items (
  id uuid primary key default gen_random_uuid(),
  order_id uuid not null references orders on delete cascade,
  line_no integer not null,
  product_id uuid not null references catalogue,
  quantity numeric(10,2) not null,
  price numeric(14,4) not null,
  updated_at timestamptz not null default clock_timestamp(),
  unique (order_id, line_no)
);

create trigger touch before insert or update on accounts for each row execute function touch();
create trigger touch before insert or update on catalogue for each row execute function touch();
create trigger touch before insert or update on orders for each row execute function touch();
create trigger touch before insert or update on order_items for each row execute function touch();
