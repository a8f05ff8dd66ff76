{# The registered device that somebody named, whatever the case and the blanks; a name that nobody registered stays as it is. #}
{% macro device_named(name) -%}
  coalesce((select min(d.device_id) from {{ ref('devices') }} as d where {{ plain('d.device_id') }} = {{ plain(name) }}), {{ name }})
{%- endmacro %}

{#
  The rows of a staging model with `accession_number`, the number of the examination that each is joined to (`int_record_link`), and
  `told_number`, the one that it carries. What is joined to none has no number, or is left out (`only_joined`).
#}
{% macro linked(relation, only_joined=true) -%}
  {%- set number = 'case when l.record_id is null then s.accession_number else l.accession_number end' -%}
  select
      {% if target.type == 'spark' -%} s.* except (accession_number), {{ number }} as accession_number
      {%- else -%} s.* replace ({{ number }} as accession_number) {%- endif %},
      s.accession_number as told_number
  from {{ ref(relation) }} as s
  left join {{ ref('int_record_link') }} as l on s.site_id = l.site_id and s.record_id = l.record_id
  {%- if only_joined %} where {{ number }} is not null {%- endif %}
{%- endmacro %}
