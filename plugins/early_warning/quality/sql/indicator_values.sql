-- One row a way in which judged customers stand on an indicator, with one of them: all that a run says of indicators.
select
    judged.indicator_code,
    judged.state,
    judged.unknown_reason,
    judged.trend,
    judged.window_start,
    judged.window_end,
    min(judged.value) as value,
    count(*) as customers,
    min(customer.customer_id) as customer_id
from marts.fct_customer_indicators as customer
inner join ops.run on run.run_id = customer.run_id
cross join lateral
    unnest(
        run.indicator_codes,
        customer.states,
        customer.unknown_reasons,
        customer.trends,
        customer.window_starts,
        customer.window_ends,
        customer.measured_values
    ) as judged (indicator_code, state, unknown_reason, trend, window_start, window_end, value)
where customer.run_id = {run_id} and judged.state is not null
group by
    judged.indicator_code, judged.state, judged.unknown_reason, judged.trend, judged.window_start, judged.window_end,
    judged.value is null
