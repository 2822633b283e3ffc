//! Objects of the bucket with a subject's records.

use aws_sdk_s3::primitives::ByteStream;
use shared::failure::error_code;

use super::{Forget, ForgetError, ForgetReport};
use crate::subject::{FoundObject, ObjectRemedy, describe_failed_call};

impl Forget<'_> {
    /// Deletes the objects that are about nobody else, and removes the subject's records from the others.
    pub(super) async fn forget_objects(
        &self,
        objects: &[FoundObject],
        report: &mut ForgetReport,
    ) -> Result<(), ForgetError> {
        let (s3, bucket) = (
            &self.finder.pipeline.clients.s3,
            &self.finder.pipeline.bucket,
        );
        for FoundObject { key, remedy, .. } in objects {
            match remedy {
                ObjectRemedy::Report(why) => {
                    report.remains.push(format!("s3://{bucket}/{key}: {why}"));
                }
                ObjectRemedy::Delete => {
                    report.rejected_objects += 1;
                    if !self.dry_run {
                        let delete = s3.delete_object().bucket(bucket).key(key).send().await;
                        delete.map_err(|e| {
                            describe_failed_call(format!("delete {key}"))(error_code(&e))
                        })?;
                    }
                }
                ObjectRemedy::Rewrite(body) => {
                    report.rewritten_objects += 1;
                    if !self.dry_run {
                        let put = s3.put_object().bucket(bucket).key(key);
                        let put = put.body(ByteStream::from(body.clone())).send().await;
                        put.map_err(|e| {
                            describe_failed_call(format!("rewrite {key}"))(error_code(&e))
                        })?;
                    }
                }
            }
        }
        Ok(())
    }
}
