use event::VariableValue;
use serde_json::{Value, json};
use velocity::{Amount, Profile};

use crate::sample::FILE;
use crate::{KeyFacts, MappedOrder, Mapping, OrderFacts};

fn mapping(aggregates: &str) -> Result<Mapping, String> {
    let text = format!("{FILE}{aggregates}");
    Mapping::parse("mapping.yaml", &text).map_err(|error| error.to_string())
}

/// An aggregate in the place of `{}`, in line 18 of the file.
#[track_caller]
fn broken(aggregate: &str, want: &str) {
    let text = format!(
        "aggregates:
  keys: {{card: /card, email: {{from: /customer/email, as: email}}}}
  variables: {{known: {{count: {{by: card, within: 1d}}}}, {aggregate}}}
"
    );
    assert_eq!(mapping(&text).unwrap_err(), want, "{aggregate}");
}

#[test]
fn a_broken_aggregate_says_where_and_what_would_be_right() {
    broken(
        "cards: {cuont: {by: card, within: 1d}}",
        "mapping.yaml:18:63: unknown variant `cuont`, expected one of count, sum, mean, max, distinct, since_first, since_last, ratio_to_usual, fraud, fraud_rate",
    );
    broken(
        "cards: {count: {by: device, within: 1d}}",
        "mapping.yaml:18:62: `by: device` names no key; there are `card`, `email`",
    );
    broken(
        "cards: {count: {by: card, within: 91d}}",
        "mapping.yaml:18:89: `91d` is not a window; write a whole number of minutes, hours or days from 1m to 90d, such as 15m, 6h or 30d",
    );
    broken(
        "cards: {count: {by: card}}",
        "mapping.yaml:18:62: `count` needs a window, such as 7d",
    );
    broken(
        "cards: {count: {by: card, within: 1d, of: price}}",
        "mapping.yaml:18:62: `of: price` is not needed; this counts events, leave it out",
    );
    broken(
        "cards: {sum: {by: card, within: 1d}}",
        "mapping.yaml:18:62: `of` is missing; name the variable that has the number",
    );
    broken(
        "cards: {sum: {by: card, within: 1d, of: prize}}",
        "mapping.yaml:18:62: `of: prize` is not one of `variables`",
    );
    broken(
        "cards: {distinct: {by: card, within: 1d, of: device}}",
        "mapping.yaml:18:62: `of: device` is neither a key nor one of `variables`",
    );
    broken(
        "cards: {since_last: {by: card}}",
        "mapping.yaml:18:62: `since_last` needs `in`: seconds, minutes, hours or days",
    );
    broken(
        "cards: {count: {by: card, within: 1d, in: days}}",
        "mapping.yaml:18:62: `count` has no unit; leave `in` out",
    );
    broken(
        "cards: {since_last: {by: card, in: days, within: 1d}}",
        "mapping.yaml:18:62: `since_last` looks back without limit; leave the window out",
    );
    broken(
        "cards: {count: {by: card, within: 1d, where: 5}}",
        "mapping.yaml:18:93: invalid type: integer `5`, expected a condition such as {/payment/status: declined}, or a JSON pointer or jq filter that gives true or false",
    );
    broken(
        "email: {count: {by: card, within: 1d}}",
        "mapping.yaml:18:62: `email` is also in `variables`; give the aggregate another name",
    );
    broken(
        "cards: {count: {by: card, within: 1d}, sum: {by: card, within: 1d}}",
        "mapping.yaml:18:62: an aggregate has one function; give the other a name of its own",
    );
    broken(
        "cards: {fraud: {by: card}}",
        "mapping.yaml:18:62: no label means fraud: `labels.table` gives none for chargebacks; name them in `aggregates.fraud_labels`, such as [fraud]",
    );
    broken(
        "cards: {fraud: {by: card, within: 1d, of: price}}",
        "mapping.yaml:18:62: `of: price` is not needed; this counts events, leave it out",
    );
    broken(
        "cards: 5",
        "mapping.yaml:18:55: invalid type: integer `5`, expected an aggregate such as {count: {by: card, within: 1d}}",
    );
    broken(
        "known: {count: {by: card, within: 1d}}",
        "mapping.yaml:18:55: duplicate mapping key: known, set DuplicateKeyPolicy in Options if acceptable",
    );
}

/// `links:` in the place of `{}`, in line 21 of the file.
#[track_caller]
fn broken_links(links: &str, want: &str) {
    let text = format!(
        "aggregates:
  fraud_labels: [fraud]
  keys: {{account: /customer/id, card: /card, bin: {{from: /bin, hub: true}}}}
  variables: {{known: {{fraud: {{by: card, within: 1d}}}}}}
links:
{links}"
    );
    assert_eq!(mapping(&text).unwrap_err(), want, "{links}");
}

#[test]
fn broken_links_say_where_and_what_would_be_right() {
    let rest = "  variables: {around: {accounts: {steps: 2}}}\n";
    broken_links(
        &format!("  account: customer\n  through: [card]\n{rest}"),
        "mapping.yaml:21:12: `account` names `customer`, which is no key of `aggregates`; there are `account`, `bin`, `card`",
    );
    broken_links(
        &format!("  account: account\n  through: [device]\n{rest}"),
        "mapping.yaml:22:13: `through` names `device`, which is no key of `aggregates`; there are `account`, `bin`, `card`",
    );
    broken_links(
        &format!("  account: account\n  through: [card, card]\n{rest}"),
        "mapping.yaml:22:19: `card` is named twice; name each key once, and the account only as `account`",
    );
    broken_links(
        &format!("  account: account\n  through: [bin]\n{rest}"),
        "mapping.yaml:22:13: key `bin`: a hub is counted by hour and day, and has no `links`; use count, sum, mean, distinct, fraud or fraud_rate, or make it no hub",
    );
    broken_links(
        &format!("  account: account\n  through: []\n{rest}"),
        "mapping.yaml:21:12: `through` is empty; name the keys that accounts may share, such as card",
    );
    let head = "  account: account\n  through: [card]\n";
    broken_links(
        &format!("{head}  variables: {{around: {{accounts: {{steps: 3}}}}}}\n"),
        "mapping.yaml:23:42: `steps: 3` is not 1 (accounts that share a key with the order) or 2 (and those that share one with these)",
    );
    broken_links(
        &format!("{head}  variables: {{known: {{accounts: {{steps: 1}}}}}}\n"),
        "mapping.yaml:23:22: `known` is a variable or an aggregate already; choose another name",
    );
    broken_links(
        &format!("{head}  variables: {{around: {{friends: {{steps: 1}}}}}}\n"),
        "mapping.yaml:23:24: unknown variant `friends`, expected one of accounts, fraud, youngest",
    );
    let alone = "links:\n  account: account\n  through: [card]\n  variables: {}\n";
    assert_eq!(
        mapping(alone).unwrap_err(),
        "mapping.yaml:17:3: `links` needs keys; name them in `aggregates.keys`"
    );
}

#[test]
fn linked_keys_come_with_each_other() {
    let text = "aggregates:
  fraud_labels: [fraud]
  keys: {account: /customer/id, card: /card, phone: {from: [/phone, /other_phone], as: phone}}
links: {account: account, through: [card, phone], variables: {around: {accounts: {steps: 2}}}}
";
    let mapping = mapping(text).unwrap();
    let order = order(&json!({
        "customer": {"id": "c-1", "email": "jo@example.com"}, "other_phone": "004915112345678",
    }));
    let order = mapping.map_order(&order).unwrap();
    let partners: Vec<usize> = order
        .keys
        .iter()
        .map(|key| key.event.partners.len())
        .collect();
    // The account comes with a card and two telephones, each of those with the account.
    assert_eq!(partners, [3, 1, 1]);
    let linked = mapping.linked_keys().unwrap();
    let hashed = order.key_facts.hashes.clone();
    assert_eq!(linked.partners_of(0, &hashed), order.keys[0].event.partners);
    assert_eq!(
        linked.account(&hashed).as_ref(),
        order.keys[1].event.partners.first()
    );
    let (place, hash) = linked.find(&order.keys[1].event.partners[0]).unwrap();
    assert_eq!((place, &hash), (0, &order.keys[0].hashes[0]));
}

#[test]
fn too_many_keys_and_aggregates_are_refused() {
    let keys: Vec<String> = (0..13).map(|n| format!("k{n:02}: /k")).collect();
    let text = format!(
        "aggregates:\n  keys: {{{}}}\n  variables: {{}}\n",
        keys.join(", ")
    );
    assert_eq!(
        mapping(&text).unwrap_err(),
        "mapping.yaml:17:123: there are 13 keys; at most 12 may have aggregates"
    );
    let all: Vec<String> = (0..61)
        .map(|n| format!("    v{n:02}: {{count: {{by: card, within: 1d}}}}"))
        .collect();
    let text = format!(
        "aggregates:\n  keys: {{card: /card}}\n  variables:\n{}\n",
        all.join("\n")
    );
    assert_eq!(
        mapping(&text).unwrap_err(),
        "mapping.yaml:79:10: there are 61 aggregates; a mapping has at most 60"
    );
    let distinct: Vec<String> = [
        "email", "price", "k1", "k2", "k3", "k4", "k5", "k6", "k7", "k8", "k9", "k10",
    ]
    .iter()
    .map(|of| format!("v_{of}: {{distinct: {{by: card, within: 90d, of: {of}}}}}"))
    .collect();
    let keys: Vec<String> = (1..11).map(|n| format!("k{n}: /k{n}")).collect();
    let text = format!(
        "aggregates:\n  keys: {{card: /card, {}}}\n  variables: {{{}}}\n",
        keys.join(", "),
        distinct.join(", ")
    );
    let error = mapping(&text).unwrap_err();
    assert!(
        error.contains("key `card`: the aggregates of one key need up to"),
        "{error}"
    );
}

const AGGREGATES: &str = "aggregates:
  keys:
    card: /card
    email: {from: /customer/email, as: email}
    phone: {from: [/phone, /other_phone], as: phone}
    address: {from: {joined: [/street, /zip]}, as: letters_and_digits}
    network: {from: /ip, as: network, hub: true}
  variables:
    card_orders_1d: {count: {by: card, within: 1d}}
    card_declines_1h: {count: {by: card, within: 1h, where: '.status == \"declined\" or .status == \"failed\"'}}
    card_gifts_7d: {sum: {of: price, by: card, within: 7d, where: '.items | any(. == \"gift\")'}}
    emails_per_card_30d: {distinct: {of: email, by: card, within: 30d}}
    phone_first_hours: {since_first: {by: phone, in: hours}}
    address_usual: {ratio_to_usual: {of: price, by: address, within: 90d}}
    network_orders_1h: {count: {by: network, within: 1h}}
";

fn map(order: &Value) -> MappedOrder {
    mapping(AGGREGATES).unwrap().map_order(order).unwrap()
}

fn order(more: &Value) -> Value {
    let mut order = json!({
        "order_id": "A-1", "created_at": "2026-06-01T10:15:30Z", "total": "12.50", "currency": "USD",
        "customer": {"email": "Jo@Example.com"}, "card": "f3a9", "status": "failed", "phone": "+14155550100",
        "street": "1 Main St.", "zip": "89501", "ip": "203.0.113.7", "items": ["gift"],
    });
    for (name, value) in more.as_object().unwrap() {
        order[name] = value.clone();
    }
    order
}

#[test]
fn an_order_is_read_as_its_keys_see_it() {
    let mapped = map(&order(&json!({"other_phone": "004915112345678"})));
    assert!(!mapped.is_undetermined());
    let names = ["address", "card", "email", "network", "phone"];
    assert_eq!(
        mapped
            .keys
            .iter()
            .map(|key| names[key.key])
            .collect::<Vec<_>>(),
        ["address", "card", "network", "phone"]
    );
    let hashes: Vec<usize> = mapped.keys.iter().map(|key| key.hashes.len()).collect();
    assert_eq!(hashes, [1, 1, 1, 2]);
    let card = &mapped.keys[1].event;
    assert_eq!(
        card.numbers,
        [Some(Amount::from_decimal("12.5".parse().unwrap()))]
    );
    assert_eq!(card.conditions, 0b11);
    assert_eq!(card.values.len(), 1);
    // A phone number that is written in another way is the same key.
    let again = map(&order(
        &json!({"phone": "+1 (415) 555-0100", "street": "1 MAIN ST"}),
    ));
    assert_eq!(again.keys[0].hashes, mapped.keys[0].hashes);
    assert_eq!(again.keys[3].hashes, mapped.keys[3].hashes[..1]);
}

#[test]
fn unknown_and_absent_values_are_no_keys_and_invalid_ones_are_noted() {
    let mapped = map(&order(
        &json!({"card": "Unknown", "phone": null, "ip": "", "zip": null}),
    ));
    assert_eq!(mapped.keys.len(), 0);
    assert!(!mapped.is_undetermined());
    let mapped = map(&order(
        &json!({"ip": "localhost", "phone": "x", "total": "-5", "items": 7}),
    ));
    let problems: Vec<String> = mapped
        .data_quality
        .iter()
        .map(|it| format!("{} {}", it.variable, it.problem))
        .collect();
    assert_eq!(problems.len(), 3, "{problems:?}");
    assert!(mapped.is_undetermined());
    let card = mapped.keys.iter().find(|key| key.key == 1).unwrap();
    assert_eq!(
        card.event.numbers,
        [Some(Amount::from_decimal((-5).into()))]
    );
}

#[test]
fn hostile_values_are_keys_or_noted() {
    let mapped = map(&order(&json!({"card": "k".repeat(10_240)})));
    let card = mapped.keys.iter().find(|key| key.key == 1).unwrap();
    assert_eq!(card.hashes[0].len(), 32);
    let before_1970 = order(&json!({"created_at": "1969-07-20T20:17:40Z"}));
    let refused = mapping(AGGREGATES).unwrap().map_order(&before_1970);
    assert!(
        refused
            .unwrap_err()
            .to_string()
            .contains("is outside the years 1970 to 9999")
    );
    for (total, amount) in [
        ("1e400", None),
        ("NaN", None),
        ("-inf", None),
        ("99999999999999.99", Some("1000000000")),
    ] {
        let mapped = map(&order(&json!({"total": total})));
        let card = mapped.keys.iter().find(|key| key.key == 1).unwrap();
        let got = card.event.numbers[0].map(|it| it.to_decimal().normalize().to_string());
        assert_eq!(got.as_deref(), amount, "{total}");
        assert_eq!(mapped.is_undetermined(), amount.is_none(), "{total}");
    }
}

#[test]
fn the_values_become_variables() {
    let mapping = mapping(AGGREGATES).unwrap();
    let first = mapping.map_order(&order(&json!({}))).unwrap();
    let mut second = mapping
        .map_order(&order(
            &json!({"order_id": "A-2", "created_at": "2026-06-01T11:45:30Z"}),
        ))
        .unwrap();
    for key in second.keys.clone() {
        let layout = mapping.aggregate_keys()[key.key].layout();
        let mut profile = Profile::default();
        let before = first.keys.iter().find(|it| it.key == key.key).unwrap();
        profile.add(layout, &before.event);
        let values = layout.values_before(&[&profile], &key.event);
        mapping.set_aggregates(&mut second, key.key, values);
    }
    let value = |name: &str| {
        second
            .variables
            .get(name)
            .map(|value| value.expose().to_owned())
    };
    assert_eq!(value("card_orders_1d").as_deref(), Some("1"));
    assert_eq!(value("card_declines_1h").as_deref(), Some("0"));
    assert_eq!(value("card_gifts_7d").as_deref(), Some("12.5"));
    assert_eq!(value("emails_per_card_30d").as_deref(), Some("1"));
    assert_eq!(value("phone_first_hours").as_deref(), Some("1.5"));
    assert_eq!(value("address_usual"), None);
    assert_eq!(value("network_orders_1h").as_deref(), Some("0"));
}

/// What merchants of a payment switch ask for: attempts, declines and amounts, and how many different cards, e-mail
/// addresses, devices and addresses come with each other, by status.
#[test]
fn what_merchants_ask_for_can_be_said() {
    let keys = ["card", "email", "device", "ip", "address", "bin", "account"];
    let mut aggregates = Vec::new();
    for by in keys {
        for (window, within) in [("10m", "10m"), ("1d", "1d"), ("30d", "30d")] {
            aggregates.push(format!(
                "{by}_attempts_{window}: {{count: {{by: {by}, within: {within}}}}}"
            ));
        }
        for status in ["declined", "charged"] {
            aggregates.push(format!(
                "{by}_{status}_1d: {{count: {{by: {by}, within: 1d, where: {{/status: {status}}}}}}}"
            ));
        }
        aggregates.push(format!(
            "{by}_amount_7d: {{sum: {{of: price, by: {by}, within: 7d}}}}"
        ));
        if by != "card" {
            aggregates.push(format!(
                "cards_per_{by}_declined_7d: {{distinct: {{of: card, by: {by}, within: 7d, where: {{/status: declined}}}}}}"
            ));
        }
        if by != "email" {
            aggregates.push(format!(
                "emails_per_{by}_7d: {{distinct: {{of: email, by: {by}, within: 7d}}}}"
            ));
        }
    }
    let keys: Vec<String> = keys
        .iter()
        .map(|key| match *key {
            "bin" => "bin: {from: /bin, hub: true}".to_owned(),
            key => format!("{key}: /{key}"),
        })
        .collect();
    let text = format!(
        "aggregates:\n  keys: {{{}}}\n  variables: {{{}}}\n",
        keys.join(", "),
        aggregates.join(", ")
    );
    let mapping = mapping(&text).unwrap();
    assert!(mapping.aggregate_keys().len() == 7 && aggregates.len() == 54);
    for key in mapping.aggregate_keys() {
        let whole = key.layout().whole_events();
        assert!(whole >= 24 || key.name() == "bin", "{} {whole}", key.name());
    }
}

/// What is kept of an order gives the same keys as the order itself.
#[test]
fn keys_are_restored_from_what_is_kept() {
    let text = "aggregates:
  fraud_labels: [fraud]
  keys:
    account: /customer/id
    card: /card
    email: {from: /customer/email, as: email}
    phone: {from: [/phone, /other_phone], as: phone}
  variables:
    amount: {sum: {of: price, by: card, within: 7d}}
    emails: {distinct: {of: email, by: card, within: 7d}}
    prices: {distinct: {of: price, by: phone, within: 7d}}
    declined: {count: {by: card, within: 7d, where: {/status: declined}}}
    free: {count: {by: card, within: 7d, where: '.total == \"0\"'}}
links: {account: account, through: [card, phone], variables: {around: {accounts: {steps: 2}}}}
";
    let mapping = mapping(text).unwrap();
    let order = mapping.map_order(&order(&json!({
        "customer": {"id": "c-1", "email": "jo@example.com"}, "card": "f3a9", "status": "declined",
        "phone": "+4930123456", "other_phone": "004915112345678",
    })));
    let order = order.unwrap();
    let facts = OrderFacts {
        event_id: &order.event_id,
        revision: order.revision,
        timestamp: order.timestamp,
    };
    let variable = |name: &str| order.variables.get(name).map(VariableValue::expose);
    let kept = &order.key_facts;
    assert!(kept.hashes.contains_key("email"));
    assert_eq!(mapping.restore_keys(&facts, kept, variable), order.keys);
    let needed = mapping.needed_facts();
    let mut names: Vec<String> = needed.iter().map(ToString::to_string).collect();
    names.sort();
    assert_eq!(
        names,
        [
            "condition of `declined`",
            "condition of `free`",
            "key `account`",
            "key `card`",
            "key `email`",
            "key `phone`",
            "variable `price`",
        ]
    );
    assert!(needed.iter().all(|fact| fact.is_kept(kept, variable)));
    let nothing = KeyFacts::default();
    assert!(!needed.iter().any(|fact| fact.is_kept(&nothing, |_| None)));
}

#[test]
fn an_invalid_key_may_be_left_out_of_an_order_that_is_judged_all_the_same() {
    for (on_invalid, undetermined) in [("omit", false), ("undetermined", true)] {
        let text = format!(
            "aggregates:
  keys: {{email: {{from: /mail, as: email, on_invalid: {on_invalid}}}}}
  variables: {{email_orders: {{count: {{by: email, within: 1d}}}}}}
"
        );
        let mapped = mapping(&text)
            .unwrap()
            .map_order(&order(&json!({"mail": "jo at home"})));
        let mapped = mapped.unwrap();
        assert_eq!(mapped.keys.len(), 0);
        assert_eq!(mapped.data_quality.len(), 1, "{:?}", mapped.data_quality);
        assert_eq!(mapped.is_undetermined(), undetermined, "{on_invalid}");
    }
}
