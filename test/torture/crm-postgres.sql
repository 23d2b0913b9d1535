-- The CRM of the torture run, in PostgreSQL: it trims notes, rounds prices, and keeps dead products.

create table accounts (
  id uuid primary key default gen_random_uuid(),
  account_no varchar(20) not null unique,
  first_name text not null default 'Eva',
  last_name text not null default '',
  phone text,
  stage char(1) not null default 'S' check (stage in ('S', 'G', 'P')),
  credit numeric(14,4) not null default 0,
  points integer not null default 0,
  note text not null default '',
  street text,
  city text,
  updated_at timestamptz not null default clock_timestamp()
);

-- No unique index: nothing but Carrick itself keeps a number from being there twice.
create table catalogue (
  id uuid primary key default gen_random_uuid(),
  sku varchar(20) not null,
  title text not null,
  price numeric(14,4) not null default 0,
  stock integer not null default 0,
  archived boolean not null default false,
  updated_at timestamptz not null default clock_timestamp()
);
create index on catalogue (sku);

create table orders (
  id uuid primary key default gen_random_uuid(),
  order_no varchar(20) not null unique,
  account_id uuid not null references accounts,
  status text not null default 'draft' check (status in ('draft', 'confirmed', 'shipped')),
  note text not null default '',
  amount numeric(14,4) not null default 0,
  updated_at timestamptz not null default clock_timestamp()
);

create table order_items (
  id uuid primary key default gen_random_uuid(),
  order_id uuid not null references orders,
  line_no integer not null,
  product_id uuid not null references catalogue,
  quantity numeric(10,2) not null,
  price numeric(14,4) not null,
  updated_at timestamptz not null default clock_timestamp(),
  unique (order_id, line_no)
);

create function touch() returns trigger language plpgsql as $$
begin
  new.updated_at := clock_timestamp();
  return new;
end $$;
create function trim_note() returns trigger language plpgsql as $$
begin
  new.note := btrim(new.note);
  return new;
end $$;
create function round_price() returns trigger language plpgsql as $$
begin
  new.price := round(new.price, 1);
  return new;
end $$;
create trigger trim_note before insert or update on accounts
  for each row execute function trim_note();
create trigger round_price before insert or update on catalogue
  for each row execute function round_price();

create trigger touch before insert or update on accounts for each row execute function touch();
create trigger touch before insert or update on catalogue for each row execute function touch();
create trigger touch before insert or update on orders for each row execute function touch();
create trigger touch before insert or update on order_items for each row execute function touch();
