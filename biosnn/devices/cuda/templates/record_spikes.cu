{# Spikes go to a buffer of ours on the GPU, which never overflows; see recorders.cu. #}
{# USES_VARIABLES { N } #}
{# WRITES_TO_READ_ONLY_VARIABLES { N } #}
{% extends 'common_group.cu' %}
{% block define_N %}{% endblock %}
{% block kernel %}{% endblock %}
{% block prepare_kernel %}{% endblock %}
{% block kernel_call %}
{% set _eventspace = get_array_name(eventspace_variable, access_data=False) %}
biosnn::record_spikes("{{owner.name}}", dev{{_eventspace}}[current_idx{{_eventspace}}]);
{% endblock %}
