//! Detectors: one event type, its rules, and versions that pin them.

use protocol::page::{Page, PageRequest};
use protocol::{Error, Result, page, text};
use serde::{Deserialize, Serialize};
use store::change::Change;
use store::listing::Listing;
use store::records::detector::{Detector, detector_key, missing_detector};
use store::records::detector_version::detector_version_partition;
use store::records::event_type::{EventType, event_type_key};
use store::records::rule::rule_partition;
use store::records::tags::{Tag, Tags};

use crate::operations::{EmptyOutput, detector_versions};
use crate::services::EngineServices;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PutDetectorInput {
    detector_id: String,
    description: Option<String>,
    event_type_name: String,
    #[serde(default)]
    tags: Vec<Tag>,
}

/// Creates a detector or replaces its description. Its event type cannot change, because its rules use that type's
/// variables.
pub(crate) async fn put_detector(
    services: &EngineServices,
    input: PutDetectorInput,
) -> Result<EmptyOutput> {
    let mut change = services.account.begin_change().await?;
    let now = text::format_milliseconds(services.account.now());
    let before: Option<Detector> = change.get(&detector_key(&input.detector_id)).await?;
    let detector = match before {
        Some(before) if before.event_type_name != input.event_type_name => {
            let message = format!(
                "Detector '{}' belongs to event type '{}', which cannot be changed.",
                before.detector_id, before.event_type_name
            );
            return Err(Error::validation(message));
        }
        Some(before) => Detector {
            description: input.description,
            last_updated_time: now,
            ..before
        },
        None => {
            change.count_resources("detector", 1, services.account.options.quotas.detectors)?;
            create_detector(&change, input, now).await?
        }
    };
    change.put(&detector)?;
    services
        .account
        .commit_change(change)
        .await
        .map(|()| EmptyOutput {})
}

async fn create_detector(
    change: &Change<'_>,
    input: PutDetectorInput,
    now: String,
) -> Result<Detector> {
    let event_type: Option<EventType> = change.get(&event_type_key(&input.event_type_name)).await?;
    if event_type.is_none() {
        let message = format!("Event type '{}' does not exist.", input.event_type_name);
        return Err(Error::validation(message));
    }
    Ok(Detector {
        detector_id: input.detector_id,
        description: input.description,
        event_type_name: input.event_type_name,
        active_version: None,
        last_version: 0,
        last_updated_time: now.clone(),
        created_time: now,
        tags: Tags::new(input.tags)?,
        shadow_version: None,
        rollout: None,
    })
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct GetDetectorsInput {
    detector_id: Option<String>,
    #[serde(flatten)]
    paging: PageRequest,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct DetectorOutput {
    detector_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    event_type_name: String,
    last_updated_time: String,
    created_time: String,
    arn: String,
}

pub(crate) async fn get_detectors(
    services: &EngineServices,
    input: GetDetectorsInput,
) -> Result<impl Serialize + use<>> {
    let page: Page<Detector> = if let Some(detector_id) = &input.detector_id {
        let found = services
            .account
            .definitions
            .get(&detector_key(detector_id))
            .await?;
        Page::of_one_row(found.ok_or_else(|| missing_detector(detector_id))?)
    } else {
        let listing = Listing {
            operation: "GetDetectors",
            filters: "",
            pk: "detector",
            prefix: "",
            default_size: 10,
        };
        listing.read_page(&services.account, &input.paging).await?
    };
    Ok(page::make_page_output(
        "detectors",
        page.map_rows(|detector| make_detector_output(services, detector)),
    ))
}

fn make_detector_output(services: &EngineServices, detector: Detector) -> DetectorOutput {
    DetectorOutput {
        arn: services.account.arn("detector", &detector.detector_id),
        detector_id: detector.detector_id,
        description: detector.description,
        event_type_name: detector.event_type_name,
        last_updated_time: detector.last_updated_time,
        created_time: detector.created_time,
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct DescribeDetectorInput {
    detector_id: String,
    #[serde(flatten)]
    paging: PageRequest,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct DescribeDetectorOutput {
    detector_id: String,
    detector_version_summaries: Vec<detector_versions::DetectorVersionSummary>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_token: Option<String>,
    arn: String,
}

pub(crate) async fn describe_detector(
    services: &EngineServices,
    input: DescribeDetectorInput,
) -> Result<DescribeDetectorOutput> {
    let DescribeDetectorInput {
        detector_id,
        paging,
    } = input;
    let found: Option<Detector> = services
        .account
        .definitions
        .get(&detector_key(&detector_id))
        .await?;
    found.ok_or_else(|| missing_detector(&detector_id))?;
    let listing = Listing {
        operation: "DescribeDetector",
        filters: "",
        pk: &detector_version_partition(&detector_id),
        prefix: "",
        default_size: 1000,
    };
    let page = listing
        .read_page(&services.account, &paging)
        .await?
        .map_rows(detector_versions::summarize_detector_version);
    Ok(DescribeDetectorOutput {
        detector_version_summaries: page.rows,
        next_token: page.next_token,
        arn: services.account.arn("detector", &detector_id),
        detector_id,
    })
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct DeleteDetectorInput {
    detector_id: String,
}

/// Deletes a detector. Rejected while it has versions or rules.
pub(crate) async fn delete_detector(
    services: &EngineServices,
    input: DeleteDetectorInput,
) -> Result<EmptyOutput> {
    let mut change = services.account.begin_change().await?;
    let key = detector_key(&input.detector_id);
    if change.get::<Detector>(&key).await?.is_none() {
        return Ok(EmptyOutput {});
    }
    let remains = [
        (detector_version_partition(&input.detector_id), "versions"),
        (rule_partition(&input.detector_id), "rules"),
    ];
    for (pk, what) in remains {
        if change.has_any(&pk, "").await? {
            let message = format!("Detector '{}' still has {what}.", input.detector_id);
            return Err(Error::conflict(message));
        }
    }
    change.count_resources("detector", -1, usize::MAX)?;
    change.delete(key);
    services
        .account
        .commit_change(change)
        .await
        .map(|()| EmptyOutput {})
}
