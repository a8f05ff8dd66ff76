with final as (
    select
        site_id, device_id, series_uid, run_key, procedure, detector, region, measure, value, unit, uncertainty, status, method, method_version,
        acquired_at_utc as measured_at_utc, series_recorded_at_utc as recorded_at_utc,
        fail_low as limit_low, fail_high as limit_high, warn_low, warn_high, limit_id, limit_version, standard, clause, verdict, reason,
        is_current, picture as picture_href
    from {{ ref('int_phantom__measure') }}
)

{{ contracted('final') }}
