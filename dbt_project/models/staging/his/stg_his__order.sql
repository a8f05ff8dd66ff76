select
    site_id,
    event_id,
    record_id,
    occurred_at_utc,
    -- a sender's clock that is fast tells nothing of the future
    least(occurred_at_utc, recorded_at_utc) as happened_at_utc,
    recorded_at_utc,
    journal_offset,
    {{ precision_s(json_text('data', '$.occurred_precision'), json_text('data', '$.occurred_span_s')) }} as occurred_precision_s,
    {{ json_text('data', '$.trigger') }} as trigger,
    {{ json_text('data', '$.order_control') }} as order_control,
    {{ json_text('data', '$.order_status') }} as order_status,
    {{ json_text('data', '$.accession_number') }} as accession_number,
    {{ json_text('data', '$.patient_pseudonym') }} as patient_pseudonym,
    {{ json_text('data', '$.sex') }} as sex,
    try_cast({{ json_text('data', '$.birth_year') }} as integer) as birth_year,
    {{ json_text('data', '$.exam_code') }} as exam_code,
    {{ json_text('data', '$.exam_name') }} as exam_name,
    {{ json_text('data', '$.indication') }} as indication,
    {{ json_utc('data', '$.scheduled_at_utc') }} as scheduled_at_utc,
    {{ json_text('data', '$.placer') }} as placer,
    {{ json_number('data', '$.prescribed_activity_mbq') }} as prescribed_activity_mbq,
    {{ json_number('data', '$.weight_kg') }} as weight_kg,
    {{ json_text('data', '$.deleted') }} as deleted
from {{ ref('stg_lake__event') }}
where type = 'his.order'
