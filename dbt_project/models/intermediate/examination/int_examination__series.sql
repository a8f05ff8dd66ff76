-- The series of examinations: one acquisition may serve several of them.
select
    l.accession_number, s.site_id, s.series_uid, s.device_id, s.modality, s.image_type, s.acquired_at_utc, s.recorded_at_utc
from {{ ref('int_series__current') }} as s
inner join {{ ref('int_record_link') }} as l on s.site_id = l.site_id and s.record_id = l.record_id
where l.state = 'joined'
