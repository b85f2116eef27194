{# USES_VARIABLES { N } #}
{# Brian2CUDA's test of a condition, which also notes for every neuron whether it holds: a list
   that is filled by many threads has no order, and pathways of ours add up in that of the neurons. #}
{% extends 'threshold.cu' %}

{% block extra_kernel_parameters %}
    unsigned char *_fired,
{% endblock %}

{% block extra_host_parameters %}
    biosnn::fired{{get_array_name(eventspace_variable, access_data=False)}},
{% endblock %}

{% block kernel_maincode %}
    _fired[_idx] = 0;
    {% set _eventspace = get_array_name(eventspace_variable) %}
    ///// scalar_code /////
    {{scalar_code|autoindent}}
    {
        ///// vector_code /////
        {{vector_code|autoindent}}
        if (_cond)
        {
            const int32_t _place = atomicAdd(&{{_eventspace}}[_N], 1);
            {{_eventspace}}[_place] = _idx;
            _fired[_idx] = 1;
            {% if _uses_refractory %}
            {{not_refractory}}[_idx] = false;
            {{lastspike}}[_idx] = {{t}};
            {% endif %}
        }
    }
{% endblock %}
