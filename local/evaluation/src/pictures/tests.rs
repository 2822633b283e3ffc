use model::Importance;
use model::metrics::{RankedEvent, Ranking};

use super::bitmap::{measure_text, picture_font};
use super::*;

/// 1,000 events, of which every twentieth is fraud and scores higher.
fn events() -> Vec<ScoredEvent> {
    (0..1000_u32)
        .map(|number| {
            let fraud = number % 20 == 0;
            let log_odds = f64::from(number % 37) / 6.0 - 7.0 + if fraud { 3.0 } else { 0.0 };
            ScoredEvent {
                fraud,
                score: 1000.0 / (1.0 + (-log_odds).exp()),
                ..ScoredEvent::of_log_odds(log_odds)
            }
        })
        .collect()
}

fn importance(names: &[&str]) -> Vec<Importance> {
    names
        .iter()
        .map(|name| Importance {
            variable: (*name).to_owned(),
            kind: None,
            is_history: false,
            history_key: None,
            share: 0.3,
        })
        .collect()
}

fn with_pictures(names: &[&str], check: impl Fn(&PictureData<'_>)) {
    let scored = events();
    let ranking = Ranking::of_events(
        scored
            .iter()
            .map(|event| RankedEvent::new(event.log_odds, event.fraud)),
    );
    check(&PictureData {
        curve: &ranking.curve(),
        rules: &[(0.02, 0.4)],
        scored: &scored,
        recall: ranking.recall_range_at(0.01),
        importance: &importance(names),
    });
}

const NAMES: [&str; 3] = [
    "amount",
    "shipping_address_differs_from_billing_address_at_the_time_of_the_order_by_more_than_a_country",
    "WWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWW",
];

/// The value of an attribute of an element of an SVG.
fn attribute<'a>(element: &'a str, name: &str) -> &'a str {
    let start = element.split_once(&format!("{name}=\"")).unwrap().1;
    start.split_once('"').unwrap().0
}

#[test]
fn no_text_is_clipped() {
    let font = picture_font().unwrap();
    with_pictures(&NAMES, |drawn| {
        for (title, svg) in draw_svgs(drawn).unwrap() {
            let size =
                ["width", "height"].map(|name| attribute(&svg, name).parse::<f64>().unwrap());
            assert!((size[0] - 1200.0).abs() < 0.1, "{title}");
            let texts: Vec<&str> = svg.split("<text ").skip(1).collect();
            assert!(texts.len() > 3, "{title}");
            for text in texts {
                let [x, y, em] = ["x", "y", "font-size"]
                    .map(|name| attribute(text, name).parse::<f64>().unwrap());
                let words = text
                    .split_once('>')
                    .unwrap()
                    .1
                    .split_once('<')
                    .unwrap()
                    .0
                    .trim();
                let width = measure_text(&font, words, em * 1.24);
                let left = match attribute(text, "text-anchor") {
                    "start" => x,
                    "middle" => x - width / 2.0,
                    _ => x - width,
                };
                assert!(left >= 0.0 && left + width <= size[0], "{title}: {words}");
                assert!(y >= em / 2.0 && y + em <= size[1], "{title}: {words}");
            }
        }
    });
}

#[test]
fn names_are_whole_in_the_picture() {
    with_pictures(&NAMES, |drawn| {
        let (_, svg) = draw_svgs(drawn).unwrap().pop().unwrap();
        let words = svg.split("<text ").skip(1).map(|text| {
            let text = text.split_once('>').unwrap().1;
            text.split_once('<').unwrap().0.trim()
        });
        let all: String = words.collect();
        for name in NAMES {
            assert!(all.contains(name), "{name}: {all}");
        }
    });
}

#[test]
fn every_png_is_1200_pixels_wide() {
    let folder = tempfile::tempdir().unwrap();
    with_pictures(&NAMES, |drawn| {
        for name in write_pngs(drawn, folder.path()).unwrap() {
            let file =
                std::io::BufReader::new(std::fs::File::open(folder.path().join(&name)).unwrap());
            let mut reader = png::Decoder::new(file).read_info().unwrap();
            let mut pixels = vec![0; reader.output_buffer_size()];
            let info = reader.next_frame(&mut pixels).unwrap();
            assert_eq!(info.width, 1200, "{name}");
            assert!(info.height >= 300, "{name}");
            // Smooth edges: there are more tones than the colours that are drawn.
            let tones: std::collections::HashSet<&[u8]> = pixels.chunks(3).collect();
            assert!(tones.len() > 20, "{name}: {}", tones.len());
        }
    });
}

#[test]
fn a_test_of_few_events_has_pictures() {
    let folder = tempfile::tempdir().unwrap();
    let scored = [(1.0, true), (-1.0, false)].map(|(log_odds, fraud)| ScoredEvent {
        fraud,
        ..ScoredEvent::of_log_odds(log_odds)
    });
    let ranking = Ranking::new(scored.iter().map(|event| (event.log_odds, event.fraud)));
    let drawn = PictureData {
        curve: &ranking.curve(),
        rules: &[],
        scored: &scored,
        recall: ranking.recall_range_at(0.01),
        importance: &[],
    };
    assert_eq!(write_pngs(&drawn, folder.path()).unwrap().len(), 5);
    assert_eq!(draw_svgs(&drawn).unwrap().len(), 5);
}
