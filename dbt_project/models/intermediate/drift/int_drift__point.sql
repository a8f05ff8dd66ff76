{#
  CUSUM and EWMA of each trend, as `spark_jobs/qc/numerics/drift.py` computes them (a test holds the two together). No recursion is needed:
  S_t = max(0, S_{t-1} + z_t - k) is C_t - min(0, min C_s) with C the running sum of z - k, and an EWMA is a running sum of weighted values.
  Its weights overflow after some 6000 values, so it ends there.
#}
with learned as (
    select trend_id, round(avg(value), 9) as mean, round(stddev_samp(value), 9) as sigma, count(*) as values_seen
    from {{ ref('int_drift__value') }}
    where n <= baseline_n
    group by trend_id
),

based as (
    select
        v.*,
        -- null while the baseline is not complete
        case
            when v.accepted_value is not null and (v.accepted_sigma is not null or l.values_seen = v.baseline_n) then v.accepted_value
            when v.accepted_value is null and l.values_seen = v.baseline_n then l.mean
        end as baseline_value,
        case
            when v.accepted_value is not null and v.accepted_sigma is not null then greatest(v.accepted_sigma, v.sigma_floor)
            when l.values_seen = v.baseline_n then greatest(l.sigma, v.sigma_floor)
        end as baseline_sigma,
        case when v.accepted_value is not null and v.accepted_sigma is not null then 0 else v.baseline_n end as learning
    from {{ ref('int_drift__value') }} as v
    inner join learned as l on v.trend_id = l.trend_id
),

standardised as (
    select
        *,
        n - learning as t,
        case
            when n > learning
                then round(greatest(-clip_z, least(clip_z, (value - baseline_value) / baseline_sigma)), 9)
        end as z
    from based
),

summed as (
    select
        *,
        sum(z - cusum_k) over running as sum_high,
        sum(-z - cusum_k) over running as sum_low,
        case
            when t between 1 and 6000
                then round( -- in which order threads add is not fixed, and a rebuild must give equal rows
                    ewma_weight * power(1 - ewma_weight, t)
                    * sum(case when t between 1 and 6000 then z * power(1 - ewma_weight, -t) end) over running
                    / sqrt(ewma_weight / (2 - ewma_weight) * (1 - power(1 - ewma_weight, 2 * t))), 9
                )
        end as ewma
    from standardised
    window running as (partition by trend_id order by n rows between unbounded preceding and current row)
),

charted as (
    select
        *,
        -- rounded, so that zero is zero
        round(sum_high - least(0, min(sum_high) over running), 9) as cusum_high,
        round(sum_low - least(0, min(sum_low) over running), 9) as cusum_low
    from summed
    window running as (partition by trend_id order by n rows between unbounded preceding and current row)
)

select
    *,
    t > 0 and (greatest(cusum_high, cusum_low) > cusum_h or coalesce(abs(ewma) > ewma_limit, false)) as is_beyond
from charted
