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

/// What `transformers` 5.24 writes, which runs Jinja 3.1.
#[test]
fn methods_filters_and_numbers_are_those_of_python() {
    for (jinja, expected) in [
        (
            "{{ {'é':1}|tojson }}{{ {'é':'🙂\x7f'}|tojson(ensure_ascii=True) }}",
            r#"{"é": 1}{"\u00e9": "\ud83d\ude42\u007f"}"#,
        ),
        ("{{ {'b':1,'a':[2,3]}|tojson(sort_keys=True, separators=(',',':')) }}", r#"{"a":[2,3],"b":1}"#),
        (
            "{{ {'b':1,'a':[]}|tojson(indent=2) }}|{{ [1]|tojson(indent='\t') }}",
            "{\n  \"b\": 1,\n  \"a\": []\n}|[\n\t1\n]",
        ),
        ("{{ {'a':1e20,2:0.1,true:none}|tojson(True, none, [';','=']) }}", r#"{"a"=1e+20;"2"=0.1;"true"=null}"#),
        (
            "{{ 1e20 }} {{ 1e15 }} {{ 1e16 }} {{ 0.0001 }} {{ 0.00001 }} {{ 1.5e-7 }} {{ 2.0 }}",
            "1e+20 1000000000000000.0 1e+16 0.0001 1e-05 1.5e-07 2.0",
        ),
        (
            "{{ '%s-%d' % ('a', 3) }}{{ '%05.2f' % 3.14159 }}{{ \"%s\" % messages[0].role }}{{ 7 % 4 }}",
            "a-303.14system3",
        ),
        ("{% set x = '%s' % ('%s' % messages|length) ~ '%' %}{{ x }}{{ '100%' }}", "2%100%"),
        ("{% raw %}{{ '%s' % 1 }}{% endraw %}{# '%s' % 1 #}", "{{ '%s' % 1 }}"),
        (
            "{{ '7'.zfill(3) }}{{ '-7'.zfill(4) }}{{ 'a'.ljust(3) }}|{{ 'a'.rjust(3, '*') }}|{{ 'ab'.center(5, '-') }}",
            "007-007a  |**a|--ab-",
        ),
        (
            "{{ 'a,b,c'.rsplit(',', 1) }}{{ 'a  b c '.split() }}{{ ' a b c '.split(maxsplit=1) }}{{ ' a b c '.rsplit(none, 1) }}",
            "['a,b', 'c']['a', 'b', 'c']['a', 'b c '][' a b', 'c']",
        ),
        (
            "{{ 'a=b=c'.partition('=') }}{{ 'a=b=c'.rpartition('=') }}{{ 'a'.rpartition('=') }}",
            "('a', '=', 'b=c')('a=b', '=', 'c')('', '', 'a')",
        ),
        ("{{ 'abc'.removeprefix('a') }}{{ 'abc'.removesuffix('bc') }}{{ 'abc'.removeprefix('x') }}", "bcaabc"),
        (
            "{{ 'abcab'.find('b', 2) }}{{ 'abc'.index('c') }}{{ 'abcab'.rindex('a') }}{{ 'éaé'.rfind('é') }}{{ 'aXa'.count('a', 1) }}",
            "42321",
        ),
        ("{{ [1,2,3].index(2) }}{{ [1,2,1].count(1) }}{{ (1,2).index(1) }}", "120"),
        (
            "{{ \"they're\".title() }} {{ \"they're\"|title }} {{ 'aB'.swapcase() }} {{ 'Ab'.casefold() }}",
            "They'Re They're Ab ab",
        ),
        (
            "{{ 'a\r\nb\\u2028c\n'.splitlines() }}{{ 'a\nb'.splitlines(true)|length }}{{ 'a\tb'.expandtabs(4) }}",
            "['a', 'b', 'c']2a   b",
        ),
        (
            "{{ 'abc'.startswith('b', 1) }}{{ 'abc'.endswith('b', 0, 2) }}{{ '12'.isdecimal() }}{{ 'Ab'.istitle() }}",
            "TrueTrueTrueTrue",
        ),
        (
            "{{ 'hello world foo'|truncate(9) }}|{{ 'hello world foo'|truncate(9, true, '…', 0) }}|{{ 'ab'|truncate(1) if false }}",
            "hello...|hello wo…|",
        ),
        (
            "{{ 'a b'|wordcount }}{{ 'x'|center(4) }}|{{ 'a b/é?'|urlencode }} {{ {'a b':'c&'}|urlencode }}",
            "2 x  |a%20b/%C3%A9%3F a+b=c%26",
        ),
        ("{{ messages[0]|attr('role') }}{{ messages[0]['role'] }}", "system"),
    ] {
        let messages = talk(&[(Role::System, "Be brief."), (Role::User, "a")]);
        assert_eq!(template(jinja).render(&messages, false).as_deref(), Ok(expected), "{jinja}");
    }
    for (jinja, words) in [
        ("{{ 'a'.ljust(9999999999) }}", "fuel"),
        ("{{ '{:99999999}'.format('a') }}", "too wide"),
        ("{{ '%99999999999d' % 1 }}", "cannot be run"),
        ("{{ missing|tojson }}", "not defined"),
        ("{{ 1|tojson(unheard_of=1) }}", "unheard_of"),
        ("{{ 'a'.index('b') }}", "not in the text"),
        ("{{ [1].append(2) }}", "append"),
    ] {
        let said = template(jinja).render(&[], false).unwrap_err().to_string();
        assert!(said.contains(words), "{jinja}: {said}");
    }
}
