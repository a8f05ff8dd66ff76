-- Who has switched what off, where, and until when; `sentence` is what the analysis writes too (judgement/rows.py), so both can be compared.
select
    s.component,
    t.site_id,
    s.valid_from,
    s.valid_until,
    trim(s.component) || ' is switched off by ' || trim(s.approver) || ' since ' || {{ text('s.valid_from') }} || ': ' || trim(s.reason) as sentence,
    {{ because('component.switched_off', {'component': 'trim(s.component)', 'approver': 'trim(s.approver)', 'since': text('s.valid_from'),
        'reason': 'trim(s.reason)'}) }} as reason
from {{ ref('component_switches') }} as s
inner join {{ ref('analysis_components') }} as c on s.component = c.component and c.kind = 'procedure'
inner join {{ ref('sites') }} as t on s.site_id is null or s.site_id = t.site_id
