{#-
  The end of an indicator that judges a share over the last months, open one included: from `compared` (customer_id,
  scope, share and the rows counted for it) to what every indicator tells. `serious` and `watch`: when it breaches.
-#}
{%- macro judged_share(counted, measure, serious, watch) -%}
decided as (
    select
        compared.*,
        case
            when compared.share is null then 'unknown'
            when {{ serious }} then 'serious'
            when {{ watch }} then 'watch'
            else 'clear'
        end as state
    from compared
    inner join parameters on compared.scope = parameters.scope
)

select
    decided.customer_id,
    decided.state,
    case when decided.share is null then 'no_base' end as unknown_reason,
    decided.share as value,
    null::numeric as baseline,
    case when decided.state = 'watch' then parameters.watch_share else parameters.share end as threshold,
    null::text as trend,
    {{ month_start('parameters.months') }} as window_start,
    run.as_of_date as window_end,
    jsonb_build_object('{{ measure }}', decided.{{ counted }}) as measures
from decided
inner join parameters on decided.scope = parameters.scope
cross join run
{%- endmacro -%}
