with final as (
    select
        site_id, device_id, accession_number, series_uid, run_key, aspect, region, measure, value, unit, status, method, method_version,
        acquired_at_utc as measured_at_utc, fail_low as limit_low, fail_high as limit_high, limit_version, verdict, reason, is_current,
        picture as picture_href
    from {{ ref('int_measure__judged') }}
    where analysis = 'clinical'
)

{{ contracted('final') }}
