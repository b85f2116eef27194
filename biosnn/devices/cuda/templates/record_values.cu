{# Values of some neurons or synapses go to rows of a buffer on the GPU; see recorders.cu. #}
{# USES_VARIABLES { t, _indices, N } #}
{# WRITES_TO_READ_ONLY_VARIABLES { t, N } #}
{% extends 'common_group.cu' %}

{% block define_N %}{% endblock %}

{% block host_maincode %}
const int _N = _num_indices;
{% for varname, var in _recorded_variables | dictsort %}
{{c_data_type(var.dtype)}} *_row_{{varname}} =
    ({{c_data_type(var.dtype)}} *)biosnn::next_row("{{owner.name}}", {{owner.clock.name}}.t[0]);
{% endfor %}
{% endblock host_maincode %}

{% block after_return_N %}
    _idx = {{_indices}}[_vectorisation_idx];
{% endblock %}

{% block extra_vector_code %}
    {% for varname, var in _recorded_variables | dictsort %}
    _row_{{varname}}[_vectorisation_idx] = _to_record_{{varname}};
    {% endfor %}
{% endblock extra_vector_code %}

{% block extra_kernel_parameters %}
    {% for varname, var in _recorded_variables | dictsort %}
    {{c_data_type(var.dtype)}} *_row_{{varname}},
    {% endfor %}
{% endblock %}

{% block extra_host_parameters %}
    {% for varname, var in _recorded_variables | dictsort %}
    _row_{{varname}},
    {% endfor %}
{% endblock %}
