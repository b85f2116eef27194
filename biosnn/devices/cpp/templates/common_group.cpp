{# The functions of a code object, without includes and helper functions, which stand once in the
   program. Templates of Brian2 extend this one. #}
{% macro before_run_cpp_file() %}
void _before_run_{{codeobj_name}}()
{
    using namespace brian;
    %CONSTANTS%
    {{pointers_lines|autoindent}}
    {% block before_code %}
    // EMPTY_CODE_BLOCK
    {% endblock %}
}
{% endmacro %}

{% macro before_run_h_file() %}
{% endmacro %}

{% macro cpp_file() %}
{% block extra_headers %}
{% endblock %}
{% for line in comment.splitlines() %}
// {{line.rstrip('\\')}}
{% endfor %}
{{hashdefine_lines|autoindent}}
void _run_{{codeobj_name}}()
{
    using namespace brian;
    %CONSTANTS%
    {{pointers_lines|autoindent}}
    {% block maincode %}
    {% endblock %}
}
{% endmacro %}

{% macro h_file() %}
{% endmacro %}

{% macro after_run_cpp_file() %}
void _after_run_{{codeobj_name}}()
{
    using namespace brian;
    %CONSTANTS%
    {{pointers_lines|autoindent}}
    {% block after_code %}
    // EMPTY_CODE_BLOCK
    {% endblock %}
}
{% endmacro %}

{% macro after_run_h_file() %}
{% endmacro %}
