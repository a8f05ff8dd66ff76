-- The report is there when its step says so or when the hospital sent its conclusion; laboratory values are no report.
with told as (
    select site_id, accession_number, ended_at_utc as reported_at_utc
    from {{ ref('int_examination__performed_step') }}
    where step = 'report' and result = 'done'

    union all

    select site_id, accession_number, coalesce(observed_at_utc, occurred_at_utc) as reported_at_utc
    from {{ ref('stg_his__observation') }}
    where accession_number is not null and upper(code) in ('{{ var("report_codes") | join("', '") }}')
)

select site_id, accession_number, min(reported_at_utc) as reported_at_utc
from told
group by site_id, accession_number
