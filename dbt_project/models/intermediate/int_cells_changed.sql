{{ config(meta={'key': ['customer_id', 'month']}) }}

-- Grain: customer × calendar month that has to be counted anew: where something that cells count came, went or passed.
with changed as (
    {%- for base, day in [
        ('base_sales__orders', 'ordered_on'),
        ('base_sales__interactions', 'occurred_on'),
        ('base_sales__returns', 'returned_on'),
        ('base_service__tickets', 'opened_on'),
    ] %}
    {{ changed_rows(base, ['customer_id', day ~ ' as happened_on']) }}
    {{ 'union all' if not loop.last }}
    {%- endfor %}
),

cells_left as (select * from {{ source('ops', 'cell_left') }})

select
    customer_id,
    date_trunc('month', happened_on)::date as month
from changed
union
select
    customer_id,
    cell::date as month
from cells_left
where data_set in ('sales.orders', 'sales.interactions', 'sales.returns', 'service.tickets')
