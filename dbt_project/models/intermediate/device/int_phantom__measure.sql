-- Every series that is no whole-body image is tried as a phantom; a patient's series is none, whatever the trial said. A test with a phantom
-- that is unknown or out of calibration is invalid: it keeps its values and gets no verdict.
select
    m.site_id, m.run_key, m.analysis, m.series_uid, m.accession_number, m.device_id, m.procedure,
    m.status, m.detector, m.aspect, m.region, m.measure, m.value, m.unit, m.uncertainty, m.found_at, m.method, m.method_version,
    m.acquired_at_utc, m.series_recorded_at_utc, m.acquired_day, m.time_zone, m.is_current, m.picture,
    m.limit_id, m.limit_version, m.warn_low, m.warn_high, m.fail_low, m.fail_high, m.standard, m.clause, m.fail_text, m.warn_text,
    -- a report is no series: nobody's images, and what cannot be read of it is a finding
    coalesce(s.is_phantom, m.series_uid like 'report/%') as is_phantom,
    coalesce(one.phantom_serial, whole.phantom_serial) as phantom_serial,
    coalesce(one.phantom_type, whole.phantom_type) as phantom_type,
    coalesce(one.phantom_state, whole.phantom_state) as phantom_state,
    case when coalesce(one.phantom_state, whole.phantom_state, 'valid') = 'valid' then m.verdict else 'none' end as verdict,
    case when coalesce(one.phantom_state, whole.phantom_state, 'valid') = 'valid' then m.reason else coalesce(one.phantom_reason, whole.phantom_reason) end
        as reason
from {{ ref('int_measure__judged') }} as m
left join {{ ref('int_series__current') }} as s on m.site_id = s.site_id and m.series_uid = s.series_uid
left join {{ ref('int_phantom__declared') }} as one
    on m.site_id = one.site_id and m.device_id = one.device_id and m.acquired_day = one.day and m.procedure = one.procedure
left join {{ ref('int_phantom__declared') }} as whole
    on m.site_id = whole.site_id and m.device_id = whole.device_id and m.acquired_day = whole.day and whole.procedure is null
where m.analysis = 'phantom' and not coalesce(s.is_examination, false)
