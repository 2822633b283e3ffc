//! The definition cache: what predictions need, ready to run.
//!
//! One read of the ledger shows whether any definition changed. If so, everything that was resolved by name is dropped
//! and resolved again when it is next needed. What is named by its content (bundles compiled to rules) stays.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use protocol::{Error, ErrorCode, Result};
use rules::{Lists, Rule, Schema, Value};
use store::bundle::BundleReference;
use store::change::DefinitionsLedger;
use store::pinned_bundles::{BundledRule, DetectorVersionBundle, EventTypeBundle};
use store::records::detector::{Detector, VersionRollout, detector_key};
use store::records::detector_version::{
    DetectorVersion, DetectorVersionStatus, detector_version_key,
};
use store::records::event_type::{EventType, event_type_key};
use store::records::list::{self, List};
use store::records::variable::BundledVariable;
use store::{Account, bundle};
use tokio::sync::Mutex;
use tokio::time::Instant;

/// The most compiled versions; when there are more, the cache is emptied.
const MAX_COMPILED: usize = 256;

/// A detector version that is ready for predictions.
#[derive(Debug)]
pub(crate) struct ReadyDetector {
    pub(crate) compiled: Arc<CompiledDetector>,
    pub(crate) status: DetectorVersionStatus,
    pub(crate) version_bundle: BundleReference,
    pub(crate) event_type_bundle: BundleReference,
    pub(crate) lists: Lists,
    /// Those that judge live events besides it; only where it was asked for as the active one.
    pub(crate) beside: VersionsBeside,
}

/// Versions that judge live events besides the active one.
#[derive(Debug, Default)]
pub(crate) struct VersionsBeside {
    pub(crate) shadow: Option<Arc<ReadyDetector>>,
    pub(crate) rollout: Option<(VersionRollout, Arc<ReadyDetector>)>,
}

impl ReadyDetector {
    /// The version that decides on the events of this entity.
    pub(crate) fn choose_for_entity<'d>(self: &'d Arc<Self>, entity: &str) -> &'d Arc<Self> {
        let detector_id = &self.compiled.version.detector_id;
        match &self.beside.rollout {
            Some((rollout, ready)) if rollout.includes(detector_id, entity) => ready,
            _ => self,
        }
    }
}

type BundlePair = (BundleReference, BundleReference);

#[derive(Debug, Default)]
struct CachedDefinitions {
    checked: Option<Instant>,
    revision: u64,
    /// [`Account::change_count`] at the last check, so that a change of this process is seen at once.
    changes: u64,
    /// How often names were dropped; what was read before that must not be cached after it.
    epoch: u64,
    ready: HashMap<(String, Option<u32>), Arc<ReadyDetector>>,
    event_types: HashMap<String, Arc<EventTypeBundle>>,
    compiled: HashMap<BundlePair, Arc<CompiledDetector>>,
    lists: HashMap<String, Arc<List>>,
}

impl CachedDefinitions {
    /// When the first element of a list expires.
    fn next_list_expiry(&self) -> Option<i64> {
        self.lists.values().filter_map(|list| list.expires).min()
    }

    fn drop_expired(&mut self, now: i64) {
        let is_current = |list: &List| list.expires.is_none_or(|expires| expires > now);
        self.lists.retain(|_, list| is_current(list));
    }

    fn clear(&mut self) {
        self.epoch += 1;
        self.ready.clear();
        self.event_types.clear();
    }
}

/// The definition cache, see the module.
#[derive(Debug)]
pub(crate) struct DefinitionCache {
    account: Arc<Account>,
    // Not held across an await.
    state: RwLock<CachedDefinitions>,
    refreshing: Mutex<()>,
}

impl DefinitionCache {
    pub(crate) fn new(account: Arc<Account>) -> Self {
        Self {
            account,
            state: RwLock::default(),
            refreshing: Mutex::default(),
        }
    }

    fn read_state(&self) -> RwLockReadGuard<'_, CachedDefinitions> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write_state(&self) -> RwLockWriteGuard<'_, CachedDefinitions> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn cached_list(&self, name: &str) -> Option<Arc<List>> {
        self.read_state().lists.get(name).cloned()
    }

    pub(crate) fn keep_list(&self, name: &str, list: List) -> Arc<List> {
        let list = Arc::new(list);
        self.write_state()
            .lists
            .insert(name.to_owned(), Arc::clone(&list));
        list
    }

    fn keep_if_current(&self, epoch: u64, keep: impl FnOnce(&mut CachedDefinitions)) {
        let mut state = self.write_state();
        if state.epoch == epoch {
            keep(&mut state);
        }
    }

    fn is_fresh(&self) -> bool {
        let state = self.read_state();
        let is_recent = |checked: Instant| checked.elapsed() < self.account.options.freshness;
        state.changes == self.account.change_count() && state.checked.is_some_and(is_recent)
    }

    /// Checks whether the definitions changed, if the last check is too old.
    pub(crate) async fn refresh(&self) -> Result<()> {
        if self.is_fresh() {
            return Ok(());
        }
        let _one = self.refreshing.lock().await;
        if self.is_fresh() {
            return Ok(());
        }
        let asked = Instant::now();
        let changes = self.account.change_count();
        let ledger: Option<DefinitionsLedger> = self
            .account
            .definitions
            .get(&DefinitionsLedger::key())
            .await?;
        let revision = ledger.map_or(0, |ledger| ledger.revision);
        let mut state = self.write_state();
        let now = self.account.now().as_second();
        if state.revision != revision
            || state
                .next_list_expiry()
                .is_some_and(|expires| expires <= now)
        {
            state.clear();
            state.drop_expired(now);
            state.revision = revision;
        }
        state.checked = Some(asked);
        state.changes = changes;
        Ok(())
    }

    /// The event type in its current form.
    pub(crate) async fn get_event_type(&self, name: &str) -> Result<Option<Arc<EventTypeBundle>>> {
        self.refresh().await?;
        let epoch = {
            let state = self.read_state();
            if let Some(found) = state.event_types.get(name) {
                return Ok(Some(Arc::clone(found)));
            }
            state.epoch
        };
        let Some(record) = self
            .account
            .definitions
            .get::<EventType>(&event_type_key(name))
            .await?
        else {
            return Ok(None);
        };
        let bundle: Arc<EventTypeBundle> =
            Arc::new(bundle::load_bundle(&self.account.definitions, &record.bundle).await?);
        self.keep_if_current(epoch, |state| {
            state
                .event_types
                .insert(name.to_owned(), Arc::clone(&bundle));
        });
        Ok(Some(bundle))
    }

    /// A detector version, or the ACTIVE one, ready for predictions.
    pub(crate) async fn get_ready_detector(
        &self,
        detector_id: &str,
        version: Option<u32>,
    ) -> Result<Arc<ReadyDetector>> {
        self.refresh().await?;
        let key = (detector_id.to_owned(), version);
        let epoch = {
            let state = self.read_state();
            if let Some(ready) = state.ready.get(&key) {
                return Ok(Arc::clone(ready));
            }
            state.epoch
        };
        let ready = Arc::new(self.load_ready_detector(detector_id, version).await?);
        self.keep_if_current(epoch, |state| {
            state.ready.insert(key, Arc::clone(&ready));
        });
        Ok(ready)
    }

    async fn load_ready_detector(
        &self,
        detector_id: &str,
        version: Option<u32>,
    ) -> Result<ReadyDetector> {
        let detector: Option<Detector> = self
            .account
            .definitions
            .get(&detector_key(detector_id))
            .await?;
        let detector = detector
            .ok_or_else(|| Error::not_found(format!("Detector '{detector_id}' does not exist.")))?;
        let Some(version) = version else {
            return self.load_active_detector(&detector).await;
        };
        self.load_version(&detector, version).await
    }

    /// The active version, with those that judge live events besides it.
    async fn load_active_detector(&self, detector: &Detector) -> Result<ReadyDetector> {
        let active = detector.active_version.ok_or_else(|| {
            Error::not_found(format!(
                "Detector '{}' has no version in status ACTIVE.",
                detector.detector_id
            ))
        })?;
        let mut ready = self.load_version(detector, active).await?;
        if let Some(shadow) = detector.shadow_version {
            ready.beside.shadow = self.load_beside(detector, shadow).await?;
        }
        if let Some(rollout) = &detector.rollout {
            let loaded = self.load_beside(detector, rollout.version).await?;
            ready.beside.rollout = loaded.map(|loaded| (rollout.clone(), loaded));
        }
        Ok(ready)
    }

    /// A version besides the active one. If it can never be loaded, the active one decides without it; if the tables fail,
    /// it is tried again with the event, so that no event goes without its shadow.
    async fn load_beside(
        &self,
        detector: &Detector,
        version: u32,
    ) -> Result<Option<Arc<ReadyDetector>>> {
        match self.load_version(detector, version).await {
            Ok(ready) => Ok(Some(Arc::new(ready))),
            Err(error)
                if matches!(
                    error.code(),
                    ErrorCode::ResourceNotFound | ErrorCode::Validation
                ) =>
            {
                let (detector, reason) = (&detector.detector_id, error.message());
                tracing::error!(
                    detector,
                    version,
                    reason,
                    "a version besides the active one cannot be loaded"
                );
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    async fn load_version(&self, detector: &Detector, version: u32) -> Result<ReadyDetector> {
        let detector_id = &detector.detector_id;
        let record = self
            .account
            .definitions
            .get(&detector_version_key(detector_id, version))
            .await?;
        let record: DetectorVersion = record.ok_or_else(|| {
            Error::not_found(format!(
                "Version {version} of detector '{detector_id}' does not exist."
            ))
        })?;
        let name = &detector.event_type_name;
        let event_type: Option<EventType> =
            self.account.definitions.get(&event_type_key(name)).await?;
        let event_type = event_type
            .ok_or_else(|| Error::not_found(format!("Event type '{name}' does not exist.")))?;
        let compiled = self
            .get_compiled_detector(&record.bundle, &event_type.bundle)
            .await?;
        Ok(ReadyDetector {
            lists: self.load_lists(&compiled).await?,
            compiled,
            status: record.status,
            version_bundle: record.bundle,
            event_type_bundle: event_type.bundle,
            beside: VersionsBeside::default(),
        })
    }

    /// The compiled rules of a version over an event type. Both are immutable, so the result is, too.
    pub(crate) async fn get_compiled_detector(
        &self,
        version: &BundleReference,
        event_type: &BundleReference,
    ) -> Result<Arc<CompiledDetector>> {
        let key = (version.clone(), event_type.clone());
        if let Some(compiled) = self.read_state().compiled.get(&key) {
            return Ok(Arc::clone(compiled));
        }
        let version = bundle::load_bundle(&self.account.definitions, version).await?;
        let event_type = bundle::load_bundle(&self.account.definitions, event_type).await?;
        let compiled = Arc::new(CompiledDetector::new(version, event_type)?);
        let mut state = self.write_state();
        if state.compiled.len() >= MAX_COMPILED {
            state.compiled.clear();
        }
        state.compiled.insert(key, Arc::clone(&compiled));
        Ok(compiled)
    }

    /// The lists that the rules use, as they are now.
    pub(crate) async fn load_lists(&self, compiled: &CompiledDetector) -> Result<Lists> {
        let mut ready = Lists::default();
        for name in compiled.list_names() {
            let known = self.cached_list(name);
            if let Some(list) = list::load_list(
                &self.account.definitions,
                name,
                known.as_deref(),
                self.account.now(),
            )
            .await?
            {
                let list = self.keep_list(name, list);
                ready.insert_shared(name, Arc::clone(&list.rules));
            }
        }
        Ok(ready)
    }
}
/// A version over its event type, ready for predictions.
#[derive(Debug)]
pub(crate) struct CompiledDetector {
    pub(crate) version: DetectorVersionBundle,
    pub(crate) event_type: EventTypeBundle,
    pub(crate) schema: Schema,
    pub(crate) rules: Vec<Rule>,
    pub(crate) defaults: Vec<Value>,
}

impl CompiledDetector {
    pub(crate) fn new(version: DetectorVersionBundle, event_type: EventTypeBundle) -> Result<Self> {
        let lists = version
            .rules
            .iter()
            .flat_map(|rule| rule.lists.iter().cloned());
        let scores: Vec<BundledVariable> = version.score_variables().cloned().collect();
        let schema = event_type.rule_schema(&scores, lists);
        let compile = |rule: &BundledRule| {
            Rule::new(&rule.expression, &schema).map_err(|_| {
                let BundledRule { rule_id, rule_version, .. } = rule;
                Error::validation(format!(
                    "Version {rule_version} of rule '{rule_id}' uses a variable that neither event type '{}' nor a \
                     model of the detector version has.",
                    event_type.name
                ))
            })
        };
        let rules = version.rules.iter().map(compile).collect::<Result<_>>()?;
        // A missing score is null: score variables have no default for rules.
        let mut defaults = event_type.default_row();
        defaults.resize(schema.len(), Value::Null);
        Ok(Self {
            version,
            event_type,
            schema,
            rules,
            defaults,
        })
    }

    /// The lists that its rules use, without duplicates.
    pub(crate) fn list_names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.rules.iter().flat_map(Rule::lists).collect();
        names.sort_unstable();
        names.dedup();
        names
    }
}
