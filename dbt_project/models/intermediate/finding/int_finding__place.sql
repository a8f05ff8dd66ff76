-- Findings about rooms and doors: bands, gaps, quarantine, duplicates.
with hours as (
    select h.*, {{ local_day('h.hour_utc', 's.time_zone') }} as day
    from {{ ref('mart_environment_hour') }} as h
    inner join {{ ref('sites') }} as s on h.site_id = s.site_id
    where h.verdict = 'fail'
),

-- the worst hour stands for the day
band as (
    select
        *,
        count(*) over (partition by site_id, room_id, quantity, day) as hours_outside,
        row_number() over (
            partition by site_id, room_id, quantity, day
            order by greatest(coalesce(value_mean - limit_high, 0), coalesce(limit_low - value_mean, 0)) desc, hour_utc
        ) as worst_first,
        min(hour_utc) over (partition by site_id, room_id, quantity, day) as first_hour_utc
    from hours
),

-- a name of a message is its sender's own: two senders may use the same
doors as (
    select
        site_id, sender, message_id, outcome,
        max(channel) as channel,
        count(*) as times,
        max(received_at_utc) as received_at_utc,
        max({{ reason_of('o') }}) as reason
    from {{ ref('fct_intake_outcome') }} as o
    where outcome in ('quarantined', 'duplicate')
    group by site_id, sender, message_id, outcome
),

-- a sender's character set is wrong in each of its messages: one finding a sender and local day; else one an order and field
doubts as (
    select
        d.site_id, d.doubt, min(d.field) as field, max(d.accession_number) as accession_number, min(d.recorded_at_utc) as recorded_at_utc,
        count(distinct d.event_id) as times,
        regexp_replace(d.source, '^urn:photopeak:(hl7:)?', '') as sender,
        case
            when d.doubt = 'character_set' then {{ text(local_day('d.recorded_at_utc', 's.time_zone')) }}
            else coalesce(d.accession_number, d.event_id) || '/' || d.field
        end as about
    from {{ ref('stg_intake__doubt') }} as d
    inner join {{ ref('sites') }} as s on d.site_id = s.site_id
    group by 1, 2, 7, 8
)

select
    site_id, 'ENVIRONMENT_LIMIT' as rule_id, 'room/quantity/day' as subject_kind,
    room_id || '/' || quantity || '/' || {{ text('day') }} as subject_id,
    {{ null_text() }} as device_id, room_id, {{ null_text() }} as accession_number, {{ null_text() }} as staff_id,
    first_hour_utc as occurred_at_utc, value_mean as value, unit,
    {{ limit_text('limit_low', 'limit_high', 'unit') }} as limit_text,
    {{ because('room.hours_outside', {'hours': 'hours_outside', 'hour': moment_text('hour_utc')}, {'reason': reason_of('band')}) }} as reason,
    {{ null_text() }} as clause, {{ null_text() }} as picture_href, 'mart_environment_hour' as source_mart, 'fail' as worst
from band
where worst_first = 1

union all

select
    site_id, 'ENVIRONMENT_GAP', 'sensor/day', sensor_id || '/' || {{ text('day') }}, null, room_id, null, null,
    gap_start_utc, completeness_percent, '%', '≥ {{ var("completeness_percent") }} %',
    {{ because('sensor.gap', {'since': moment_text('gap_start_utc'), 'minutes': 'gap_minutes', 'received': 'slots_received',
        'expected': 'slots_expected'}) }},
    null, null, 'mart_environment_hour', 'fail'
from {{ ref('int_environment__sensor_day') }}
where completeness_percent < {{ var('completeness_percent') }}

union all

select
    site_id, 'ENVIRONMENT_SILENT', subject_kind, subject_id, null, room_id, null, null, silent_since_utc, null, null, null,
    case subject_kind
        when 'sensor' then {{ because('sensor.never', {'since': moment_text('silent_since_utc')}) }}
        else {{ because('sensor.none_heard', {'sensors': 'sensors', 'since': moment_text('silent_since_utc')}) }}
    end,
    null, null, 'mart_environment_hour', 'fail'
from {{ ref('int_environment__silence') }}

union all

select
    site_id, case outcome when 'quarantined' then 'INTAKE_QUARANTINED' else 'INTAKE_DUPLICATE' end, 'message',
    coalesce(sender || '/', '') || message_id,
    null, null, null, null, received_at_utc, null, null, null,
    {{ because('intake.outcome', {'channel': 'channel', 'sender': 'sender', 'times': 'case when times > 1 then times end'},
        {'reason': "coalesce(reason, case outcome when 'duplicate' then " ~ because('intake.duplicate') ~ " else " ~ because('intake.no_reason') ~ " end)"}) }},
    null, null, 'fct_intake_outcome', 'fail'
from doors

union all

select
    site_id, 'INTAKE_DOUBT', 'message', sender || '/' || about || case when doubt = 'character_set' then '/character set' else '' end,
    null, null, case when doubt <> 'character_set' then accession_number end, null, recorded_at_utc, null, null, null,
    case doubt
        when 'character_set' then {{ because('intake.other_character_set', {'times': 'times', 'field': 'field'}) }}
        when 'clock_change' then {{ because('intake.clock_change', {'field': 'field'}) }}
        when 'other_time' then {{ because('intake.other_time', {'field': 'field'}) }}
        when 'ahead' then {{ because('intake.ahead', {'field': 'field'}) }}
        when 'missing' then {{ because('intake.no_appointment') }}
        when 'unmatched' then {{ because('intake.order_unknown') }}
        when 'several' then {{ because('intake.several_times', {'field': 'field'}) }}
        when 'far' then {{ because('intake.far_appointment', {'field': 'field'}) }}
        when 'older' then {{ because('intake.order_overtaken', {'field': 'field'}) }}
        when 'no_station' then {{ because('intake.no_station', {'field': 'field'}) }}
        when 'too_long' then {{ because('intake.accession_too_long') }}
        else {{ because('intake.left_out', {'field': 'field'}) }}
    end,
    null, null, 'fct_intake_outcome', 'fail'
from doubts
