-- Findings about what an examination required. `worst` lowers what only warns.
select
    site_id, rule_id, subject_kind, subject_id, device_id, room_id, accession_number, staff_id, at_utc as occurred_at_utc, value, unit, limit_text,
    {{ reason_of('r') }} as reason, {{ null_text() }} as clause, {{ null_text() }} as picture_href, 'fct_examination_requirement' as source_mart,
    case state when 'block' then 'fail' else 'warn' end as worst
from {{ ref('fct_examination_requirement') }} as r
where state in ('block', 'warn')
