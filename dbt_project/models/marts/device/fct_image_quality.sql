with final as (
    select
        m.site_id, m.device_id, case when s.series_uid is null then m.accession_number else s.accession_number end as accession_number,
        m.series_uid, m.run_key, m.aspect, m.region, m.measure, m.value, m.unit, m.status, m.method, m.method_version,
        m.acquired_at_utc as measured_at_utc, m.fail_low as limit_low, m.fail_high as limit_high, m.limit_version, m.verdict, m.reason, m.is_current,
        m.picture as picture_href
    from {{ ref('int_measure__judged') }} as m
    left join {{ ref('int_series__current') }} as s on m.site_id = s.site_id and m.series_uid = s.series_uid
    where m.analysis = 'clinical'
)

{{ contracted('final') }}
