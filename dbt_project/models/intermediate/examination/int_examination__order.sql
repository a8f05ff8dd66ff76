with linked as (
    {{ linked('stg_his__order') }}
),

placed as (
    {{ as_told('linked', ['site_id', 'accession_number'], 'happened_at_utc') }}
),

numbered as (
    select
        *,
        row_number() over (partition by site_id, accession_number order by {{ newest_told() }}) as newest_first,
        -- one that names no examination changes the order that is known
        row_number() over (
            partition by site_id, accession_number order by case when exam_code is null then 1 else 0 end, {{ newest_told() }}
        ) as whole_first,
        min(occurred_at_utc) over (partition by site_id, accession_number) as ordered_at_utc
    from placed
),

whole as (
    select * from numbered where whole_first = 1
),

-- a field that a message leaves empty stays as an earlier one said it; `deleted` names those that it takes back
saying as (
    select
        n.*,
        {%- for field in ('indication', 'scheduled_at_utc', 'weight_kg', 'exam_name', 'prescribed_activity_mbq') %}
        min(case
            when
                (n.{{ field }} is not null or n.deleted like '%"{{ field }}"%')
                {%- if field in ('exam_name', 'prescribed_activity_mbq') %}
                and (n.exam_code is null or n.exam_code = w.exam_code)
                {%- endif %}
                then n.newest_first
        end) over (partition by n.site_id, n.accession_number) as {{ field }}_by
        {%- if not loop.last %},{% endif %}
        {%- endfor %}
    from numbered as n
    inner join whole as w
        on n.site_id = w.site_id and n.accession_number = w.accession_number and n.patient_pseudonym = w.patient_pseudonym
),

kept as (
    select
        site_id,
        accession_number,
        {%- for field in ('indication', 'scheduled_at_utc', 'weight_kg', 'exam_name', 'prescribed_activity_mbq') %}
        max(case when newest_first = {{ field }}_by and coalesce(deleted, '') not like '%"{{ field }}"%' then {{ field }} end) as {{ field }}
        {%- if not loop.last %},{% endif %}
        {%- endfor %}
    from saying
    group by site_id, accession_number
),

states as (
    {{ order_states('placed', ['site_id', 'accession_number']) }}
)

select
    w.site_id,
    w.accession_number,
    w.patient_pseudonym,
    w.exam_code,
    k.exam_name,
    k.indication,
    s.order_state,
    s.order_state = 'ended' as is_cancelled,
    w.ordered_at_utc,
    k.scheduled_at_utc,
    k.prescribed_activity_mbq,
    k.weight_kg
from whole as w
inner join kept as k on w.site_id = k.site_id and w.accession_number = k.accession_number
inner join states as s on w.site_id = s.site_id and w.accession_number = s.accession_number
