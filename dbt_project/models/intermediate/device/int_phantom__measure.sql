-- Every series that is no whole-body image is tried as a phantom; a patient's series is none, whatever the trial said.
select
    m.*,
    coalesce(s.is_phantom, false) as is_phantom
from {{ ref('int_measure__judged') }} as m
left join {{ ref('int_series__current') }} as s on m.site_id = s.site_id and m.series_uid = s.series_uid
where m.analysis = 'phantom' and not coalesce(s.is_examination, false)
