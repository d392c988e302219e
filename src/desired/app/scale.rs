//! What scales a version of an App.

use super::Template;
use super::spec::{Autoscale, Scaler};
use super::spin::Version;
use crate::object::Traced;
use serde_json::json;

/// The resources that use is measured of.
const MEASURED: [&str; 2] = ["cpu", "memory"];

fn target(autoscale: &Autoscale, resource: &str) -> Option<u32> {
    if resource == "cpu" { autoscale.cpu } else { autoscale.memory }
}

impl Template<'_> {
    pub(super) fn check_scale(&mut self) {
        let Some(autoscale) = self.app.autoscale.clone() else { return };
        let keda = autoscale.scaler == Scaler::Keda;
        if autoscale.max == 0 || autoscale.min > autoscale.max {
            self.wrong("/autoscale/max", "`max` is at least 1 and not less than `min`.", "Mend the bounds.");
        }
        if autoscale.min == 0 && !keda {
            self.wrong(
                "/autoscale/min",
                "A HorizontalPodAutoscaler keeps at least one pod.",
                "Say `min: 1`, or `scaler: keda`.",
            );
        }
        if !keda && !autoscale.triggers.is_empty() {
            self.wrong("/autoscale/triggers", "`triggers` are KEDA's.", "Say `scaler: keda`.");
        }
        if autoscale.cpu.is_none() && autoscale.memory.is_none() && autoscale.triggers.is_empty() {
            self.wrong(
                "/autoscale",
                "Autoscaling needs a target.",
                "Add `cpu` or `memory`, in percent of what is requested.",
            );
        }
        for resource in MEASURED {
            if target(&autoscale, resource) == Some(0) {
                let pointer = format!("/autoscale/{resource}");
                self.wrong(&pointer, "A target is at least 1 percent.", "Mend it, or remove it.");
            }
        }
        let requests = self.app.resources.as_ref().map(|resources| &resources.requests);
        let unmeasured: Vec<&str> = MEASURED
            .into_iter()
            .filter(|resource| target(&autoscale, resource).is_some())
            .filter(|resource| requests.is_none_or(|requests| !requests.contains_key(*resource)))
            .collect();
        for resource in unmeasured {
            self.wrong(
                &format!("/autoscale/{resource}"),
                format!("The target is a part of the requested {resource}, and none is requested."),
                &format!("Add `resources: {{requests: {{{resource}: ...}}}}`."),
            );
        }
    }

    /// The HorizontalPodAutoscaler or ScaledObject of the version that is served; a canary has a fixed number of pods.
    pub(super) fn scaler(&self, version: &Version<'_>) -> Option<Traced> {
        let autoscale = self.app.autoscale.as_ref().filter(|_| version.canary.is_none())?;
        let spec = match autoscale.scaler {
            Scaler::Hpa => self.horizontal(autoscale, version),
            Scaler::Keda => self.scaled_object(autoscale, version),
        };
        let (api_version, kind) = match autoscale.scaler {
            Scaler::Hpa => ("autoscaling/v2", "HorizontalPodAutoscaler"),
            Scaler::Keda => ("keda.sh/v1alpha1", "ScaledObject"),
        };
        Some(self.object("/autoscale", api_version, kind, &version.name, spec))
    }

    /// SpinApp has no scale subresource, so its Deployment is scaled (SpinKube).
    fn horizontal(&self, autoscale: &Autoscale, version: &Version<'_>) -> Traced {
        let target_ref = json!({"apiVersion": "apps/v1", "kind": "Deployment", "name": version.name});
        let metric = |resource| {
            let percent = target(autoscale, resource)?;
            let target = json!({"type": "Utilization", "averageUtilization": percent});
            let metric = json!({"type": "Resource", "resource": {"name": resource, "target": target}});
            Some(self.made(&format!("/autoscale/{resource}"), metric))
        };
        let metrics = MEASURED.into_iter().filter_map(metric).collect();
        Traced::map(
            self.at("/autoscale"),
            [
                ("scaleTargetRef", self.made(version.pointer, target_ref)),
                ("minReplicas", self.made("/autoscale/min", autoscale.min)),
                ("maxReplicas", self.made("/autoscale/max", autoscale.max)),
                ("metrics", Traced::list(self.at("/autoscale"), metrics)),
            ],
        )
    }

    fn scaled_object(&self, autoscale: &Autoscale, version: &Version<'_>) -> Traced {
        let measured = |resource| {
            let percent = target(autoscale, resource)?;
            let trigger =
                json!({"type": resource, "metricType": "Utilization", "metadata": {"value": percent.to_string()}});
            Some(self.made(&format!("/autoscale/{resource}"), trigger))
        };
        let given =
            (0..autoscale.triggers.len()).filter_map(|index| self.copied(&format!("/autoscale/triggers/{index}")));
        let triggers = MEASURED.into_iter().filter_map(measured).chain(given).collect();
        Traced::map(
            self.at("/autoscale"),
            [
                ("scaleTargetRef", self.made(version.pointer, json!({"name": version.name}))),
                ("minReplicaCount", self.made("/autoscale/min", autoscale.min)),
                ("maxReplicaCount", self.made("/autoscale/max", autoscale.max)),
                ("triggers", Traced::list(self.at("/autoscale"), triggers)),
            ],
        )
    }
}
