-- The report is there when its step says so or when the hospital sent its conclusion as final (OBR-25 and OBX-11: HL7 tables 0123, 0085); a
-- preliminary one is none, and one that was withdrawn is gone until another is sent. Laboratory values are no report.
with sent as (
    select
        site_id, accession_number, occurred_at_utc, least(occurred_at_utc, recorded_at_utc) as told_at_utc, recorded_at_utc,
        case
            when upper(coalesce(result_status, '')) = 'X' or upper(coalesce(status, '')) in ('D', 'W', 'X') then 'withdrawn'
            when upper(coalesce(result_status, 'F')) in ('F', 'C') and upper(coalesce(status, 'F')) in ('F', 'C', 'U') then 'final'
            else 'preliminary'
        end as state
    from ({{ linked('stg_his__observation') }}) as o
    where upper(code) in ('{{ var("report_codes") | join("', '") }}')
),

withdrawn as (
    select site_id, accession_number, max(told_at_utc) as withdrawn_at_utc
    from sent
    where state = 'withdrawn'
    group by site_id, accession_number
),

told as (
    select site_id, accession_number, ended_at_utc as reported_at_utc
    from {{ ref('int_examination__performed_step') }}
    where step = 'report' and result = 'done'

    union all

    select s.site_id, s.accession_number, s.occurred_at_utc as reported_at_utc
    from sent as s
    left join withdrawn as w on s.site_id = w.site_id and s.accession_number = w.accession_number
    where s.state = 'final' and (w.withdrawn_at_utc is null or s.told_at_utc > w.withdrawn_at_utc)
)

select site_id, accession_number, min(reported_at_utc) as reported_at_utc
from told
group by site_id, accession_number
