-- Why an examination was ordered, as one or more of the eight codes; an order that fits none of them counts as `missing`. An order says a code
-- itself, an ICD-10 code, or words that the reference table knows.
with said as (
    select site_id, accession_number, lower(trim(indication)) as indication
    from {{ ref('int_examination__known') }}
),

coded as (
    select s.site_id, s.accession_number, c.indication_code
    from said as s
    inner join {{ ref('indications') }} as c on s.indication = c.indication_code

    union

    select s.site_id, s.accession_number, t.indication_code
    from said as s
    inner join {{ ref('indication_terms') }} as t
        on
            (t.kind = 'text' and contains(s.indication, lower(t.term)))
            or (
                t.kind = 'icd10' and s.indication like lower(t.term) || '%' and length(s.indication) <= 8
                and substr(s.indication, 2, 1) between '0' and '9'
            )
)

select s.site_id, s.accession_number, coalesce(c.indication_code, 'missing') as indication_code
from said as s
left join coded as c on s.site_id = c.site_id and s.accession_number = c.accession_number
