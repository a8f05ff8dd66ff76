with final as (
    select
        m.site_id, m.device_id, m.series_uid, m.run_key, m.procedure, m.detector, m.region, m.measure, m.value, m.unit, m.uncertainty, m.status,
        m.method, m.method_version, m.acquired_at_utc as measured_at_utc, m.series_recorded_at_utc as recorded_at_utc,
        m.fail_low as limit_low, m.fail_high as limit_high, m.warn_low, m.warn_high, m.limit_id, m.limit_version, m.standard, m.clause, m.verdict,
        m.reason, m.is_current, m.picture as picture_href, m.phantom_serial, m.phantom_state,
        t.baseline_value, round(t.value - t.baseline_value, 6) as change_from_baseline,
        coalesce(t.baseline_id, 'first ' || {{ text('t.baseline_n') }} || ' values') as baseline_source
    from {{ ref('int_phantom__measure') }} as m
    left join {{ ref('int_drift__point') }} as t
        on
            m.is_current and m.run_key = t.run_key and m.site_id = t.site_id and m.device_id = t.subject_id and m.procedure = t.procedure
            and m.measure = t.measure and coalesce(m.detector, '') = coalesce(t.detector, '') and coalesce(m.region, '') = coalesce(t.region, '')
)

{{ contracted('final') }}
