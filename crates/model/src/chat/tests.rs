use super::*;

const CHATML: &str = "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}\
    {% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}";
const SMOLLM2: &str = "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}\
    {{ '<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n' }}\
    {% endif %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}{% endfor %}\
    {% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}";
const LLAMA3: &str = "{% set loop_messages = messages %}{% for message in loop_messages %}{% set content = '<|start_header_id|>' + \
    message['role'] + '<|end_header_id|>\n\n'+ message['content'] | trim + '<|eot_id|>' %}{% if loop.index0 == 0 %}\
    {% set content = bos_token + content %}{% endif %}{{ content }}{% endfor %}{% if add_generation_prompt %}\
    {{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}";
const MISTRAL: &str = "{{ bos_token }}{% for message in messages %}{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}\
    {{ raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}{% endif %}\
    {% if message['role'] == 'user' %}{{ '[INST] ' + message['content'] + ' [/INST]' }}{% elif message['role'] == 'assistant' %}\
    {{ message['content'] + eos_token}}{% else %}{{ raise_exception('Only user and assistant roles are supported!') }}{% endif %}{% endfor %}";

fn template(jinja: &str) -> ChatTemplate {
    let tokens = [("bos_token", "<s>"), ("eos_token", "</s>")].map(|(name, text)| (name.to_owned(), text.to_owned()));
    ChatTemplate::new(jinja, tokens.into()).unwrap_or_else(|error| panic!("{error}"))
}

fn talk(parts: &[(Role, &str)]) -> Vec<Message> {
    parts.iter().map(|&(role, text)| Message::new(role, text)).collect()
}

#[test]
fn templates_of_published_models_give_what_transformers_gives() {
    let greeting = talk(&[(Role::User, "Hello")]);
    let more = talk(&[(Role::User, " Hello "), (Role::Assistant, "Yes."), (Role::User, "Why?")]);
    for (jinja, messages, answer, expected) in [
        (CHATML, &greeting, false, "<|im_start|>user\nHello<|im_end|>\n"),
        (CHATML, &greeting, true, "<|im_start|>user\nHello<|im_end|>\n<|im_start|>assistant\n"),
        (
            SMOLLM2,
            &greeting,
            true,
            "<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n\
             <|im_start|>user\nHello<|im_end|>\n<|im_start|>assistant\n",
        ),
        (
            LLAMA3,
            &more,
            true,
            "<s><|start_header_id|>user<|end_header_id|>\n\nHello<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\nYes.\
             <|eot_id|><|start_header_id|>user<|end_header_id|>\n\nWhy?<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n",
        ),
        (MISTRAL, &more, true, "<s>[INST]  Hello  [/INST]Yes.</s>[INST] Why? [/INST]"),
    ] {
        assert_eq!(template(jinja).render(messages, answer).unwrap(), expected, "{jinja}");
    }
}

#[test]
fn what_templates_use_of_python_and_jinja_works() {
    let messages = talk(&[(Role::System, "Be brief. "), (Role::User, "a</think>b")]);
    for (jinja, expected) in [
        (
            "{%- for m in messages -%}\n  {{ m.role.upper() }}:{{ m.content.strip() }};\n{%- endfor %}",
            "SYSTEM:Be brief.;USER:a</think>b;",
        ),
        (
            "{% if messages[0].role == 'system' %}\n{% set rest = messages[1:] %}\n{% endif %}\n{{ messages | length }}",
            "2",
        ),
        ("{% set ns = namespace(n=0) %}{% for m in messages %}{% set ns.n = ns.n + 1 %}{% endfor %}{{ ns.n }}", "2"),
        (
            "{% for m in messages %}{% if m.role == 'user' %}{{ m.content.split('</think>')[-1] }}{% break %}{% endif %}{% endfor %}",
            "b",
        ),
        ("{% macro say(m) %}<{{ m.content }}>{% endmacro %}{{ say(messages[1]) }}", "<a</think>b>"),
        ("{{ true }} {{ none }} {{ missing }}{{ strftime_now is defined }}", "True None False"),
        (
            "{% for m in messages %}{% if m.role == 'user' %}{% generation %}{{ m.content }}{% endgeneration %}{% endif %}{% endfor %}",
            "a</think>b",
        ),
        ("{{ messages[1] | tojson }}", "{\"role\": \"user\", \"content\": \"a</think>b\"}"),
        ("{{ 'x' if tools is none else 'y' }}{{ 'z' if messages[0].tool_calls is defined }}", "x"),
        ("{%- for m in messages if m.role != 'system' %}{{ m['content'] ~ loop.last }}{% endfor %}", "a</think>bTrue"),
        (
            "{{ messages | map(attribute='role') | join(',') }} {{ messages | selectattr('role', 'equalto', 'user') | list | length }}",
            "system,user 1",
        ),
        (
            "{{ '<' + '&' + \"'\" }}{{ messages[0].get('name', 'nobody') }}{% for k, v in messages[0].items() %}{{ k }}{% endfor %}",
            "<&'nobodyrolecontent",
        ),
    ] {
        assert_eq!(template(jinja).render(&messages, false).as_deref(), Ok(expected), "{jinja}");
    }
}

#[test]
fn templates_that_cannot_be_run_are_refused_with_what_is_wrong() {
    let said = |jinja: &str| match ChatTemplate::new(jinja, BTreeMap::new()) {
        Ok(template) => template.render(&talk(&[(Role::User, "a")]), true).unwrap_err().to_string(),
        Err(error) => error.to_string(),
    };
    for (jinja, words) in [
        ("{% for m in messages %}", "unexpected end of input"),
        ("{{ strftime_now('%d %b %Y') }}", "strftime_now"),
        ("{{ raise_exception('only system') }}", "only system"),
        ("{% include 'file' %}", "include"),
        ("{{ messages[0].content.encode() }}", "encode"),
        ("{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}", "fuel"),
        ("{% for a in range(99999) %}{{ 'x' * 1000 }}{% endfor %}", "longer than"),
        ("{{ bos_token + 'x' }}", "+"),
        (&"x".repeat(SOURCE_BYTES_MAX + 1), "expected at most"),
    ] {
        let said = said(jinja);
        assert!(
            said.starts_with("the model's chat template cannot be run: ") && said.contains(words),
            "{words}: {said}"
        );
    }
}

#[test]
fn of_several_templates_the_one_named_default_is_taken_unless_another_is_named() {
    let list = serde_json::json!([{ "name": "default", "template": "a" }, { "name": "tool_use", "template": "b" }]);
    let templates = ChatTemplates::new(ChatTemplates::named_in(&list).unwrap(), BTreeMap::new());
    let text = |name| templates.get(name).map(|template| template.render(&[], true).unwrap());
    assert_eq!(text(None).unwrap(), "a");
    assert_eq!(text(Some("tool_use")).unwrap(), "b");
    assert!(text(Some("rag")).unwrap_err().to_string().contains("it has default, tool_use"));
    let object = ChatTemplates::named_in(&serde_json::json!({ "rag": "c" })).unwrap();
    assert!(matches!(ChatTemplates::new(object, BTreeMap::new()).get(None), Err(ChatError::Unknown { .. })));
    assert_eq!(ChatTemplates::default().get(None).err(), Some(ChatError::Missing));
    assert!(ChatTemplates::named_in(&serde_json::json!([{ "template": "a" }])).is_err());
    assert!(ChatTemplates::named_in(&serde_json::json!(3)).is_err());
}
