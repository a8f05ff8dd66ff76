-- A step counts as compliant when it was done in its place and time by staff whose credential was known to be valid; unknown is not valid.
with performed as (
    select
        f.*,
        {{ month(local_day('f.started_at_utc', 's.time_zone')) }} as month
    from {{ ref('fct_examination_step') }} as f
    inner join {{ ref('sites') }} as s on f.site_id = s.site_id
    where f.staff_id is not null and f.started_at_utc is not null
),

counted as (
    select
        site_id, staff_id, month,
        max(staff_role) as staff_role,
        count(*) as steps_total,
        sum(case when state <> 'out_of_order' and coalesce(credential_valid, false) and coalesce(timing_ok, true) then 1 else 0 end)
            as steps_compliant,
        sum(case when not credential_valid then 1 else 0 end) as steps_credential_invalid,
        sum(case when credential_valid is null then 1 else 0 end) as steps_credential_unknown
    from performed
    group by site_id, staff_id, month
),

final as (
    select *, 100.0 * steps_compliant / steps_total as compliance_percent from counted
)

{{ contracted('final') }}
