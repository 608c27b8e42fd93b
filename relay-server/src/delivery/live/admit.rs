//! Before anything else counts: is it the source's provider that sends? And the answers to its challenges.

use std::sync::Arc;

use bytes::Bytes;
use protocol::codec::Extensions;
use protocol::field::{BodyFraming, HeaderBlock, is_field_value};
use protocol::head::{ResponseHead, Timing};
use provider::{Answer, Greeting, Needs, Rejection, Request, Then, Verified};

use tokio::sync::OwnedSemaphorePermit;

use super::upload::Upload;
use super::{Live, Order, Reply};
use crate::delivery::answer::AnswerBody;
use crate::delivery::body::RequestBody;
use crate::delivery::intake::Fault;
use crate::delivery::recording::Recording;
use crate::delivery::tunnelled::StoredBody;
use crate::model::{GreetBy, Known, Outcome, SealedSecret, SignatureSeen};
use crate::refusal::Refusal;
use crate::sender::Guard;

/// Bodies from this size on are looked at on a thread that may block: the signature of 25 MiB takes some 20 ms.
const LONG_BODY_BYTES: usize = 256 * 1024;

/// Times a public key is fetched for one request: its own, and one it leads to.
const FETCHES_MAX: usize = 2;

/// A request that may come in, or that is answered already.
pub(super) enum Admitted {
    /// To be passed on. If it is a challenge that the app may answer: what the relay would say in its place.
    In(Option<Greeting>),
    /// A challenge; this is the relay's answer.
    Greeted(ResponseHead, AnswerBody),
}

/// A request as its sender sent it, to be looked at.
#[derive(Clone)]
struct Asked {
    method: String,
    url: String,
    headers: HeaderBlock,
    body: Bytes,
}

/// What is seen in it.
struct Look {
    known: Known,
    greeting: Option<Greeting>,
    checked: Option<Result<Verified, Rejection>>,
}

impl Asked {
    fn request(&self) -> Request<'_> {
        Request { method: &self.method, url: &self.url, headers: &self.headers, body: &self.body }
    }
}

impl Live {
    /// Refuses a long body before it is taken in where no signature can be found for it. A short one is read all the same:
    /// its owner wants to see what came unsigned.
    pub(super) fn refused_by_head(
        &self,
        guard: &Guard,
        order: &Order,
        recording: &mut Recording,
    ) -> Option<Refusal> {
        let is_short = match order.framing {
            BodyFraming::None => true,
            BodyFraming::Length(bytes) => bytes <= LONG_BODY_BYTES as u64,
            BodyFraming::Chunked => false,
        };
        if is_short || !guard.is_checked {
            return None;
        }
        let url = self.senders.url(order.mount, &order.target, &order.headers);
        let request = Request { method: &order.method, url: &url, headers: &order.headers, body: b"" };
        let rejection = guard.verifier.refused_by_head(&request)?;
        let signature = SignatureSeen::Refused(rejection.code(), rejection.to_string());
        recording.know(Known { signature, ..Known::default() });
        Some(Refusal::SignatureInvalid)
    }

    /// Looks at who sends, and answers challenges where that is the relay's to do.
    ///
    /// # Errors
    /// What to tell a sender who is not the source's provider, or of whom that cannot be found out.
    pub(super) async fn admit<B: RequestBody>(
        &self,
        guard: &Arc<Guard>,
        order: &Order,
        can_ask_app: bool,
        recording: &mut Recording,
        upload: &Upload<B>,
    ) -> Result<Admitted, Refusal> {
        // Held until the body is let go of.
        let (body, _permit) = self.body_of(upload).await?;
        let asked = Asked {
            method: order.method.clone(),
            url: self.senders.url(order.mount, &order.target, &order.headers),
            headers: order.headers.clone(),
            body,
        };
        if guard.has_secret_fields() {
            recording.write_headers(guard.without_secrets(&order.headers));
        }
        let mut look = self.look(guard, &asked).await;
        for _ in 0..FETCHES_MAX {
            let is_there = match &look.checked {
                Some(Err(Rejection::KeyWanted { url })) => self.senders.keys.fetch(url).await,
                Some(Err(Rejection::KeyUnknown { url })) => self.senders.keys.fetch_again(url).await,
                _ => break,
            };
            if !is_there {
                break;
            }
            look = self.look(guard, &asked).await;
        }
        let Look { mut known, greeting, checked } = look;
        let needs_no_signature = greeting.as_ref().is_some_and(|greeting| greeting.needs == Needs::Nothing);
        // Nothing unsigned reaches the app: what the provider cannot sign is the relay's to answer.
        let is_unsigned = matches!(checked, Some(Err(_)));
        match checked {
            None => {}
            Some(Ok(verified)) => {
                known.signature = if verified.covers_body {
                    SignatureSeen::Verified
                } else {
                    SignatureSeen::SenderVerified
                };
            }
            Some(Err(_)) if needs_no_signature => {}
            Some(Err(rejection)) => {
                let is_ours = matches!(rejection, Rejection::KeyWanted { .. });
                let may_explain = guard.explained.take(self.clock.now_ms());
                let rejection = if may_explain {
                    self.explain(guard, asked, rejection).await
                } else {
                    recording.forget_body();
                    rejection
                };
                known.signature = SignatureSeen::Refused(rejection.code(), rejection.to_string());
                recording.know(known);
                return Err(if is_ours { Refusal::Unverifiable } else { Refusal::SignatureInvalid });
            }
        }
        recording.know(known);
        match greeting {
            Some(greeting) if is_unsigned || is_ours_to_greet(guard.greet, can_ask_app) => {
                self.greet(guard, greeting, order, recording).await
            }
            // An app that is there answers itself; only a secret is the relay's to keep as well.
            Some(greeting) => {
                if let Then::KeepSecret(secret) = &greeting.then {
                    self.keep_secret(order, secret.clone()).await;
                }
                Ok(Admitted::In(Some(greeting).filter(|_| guard.greet != GreetBy::App)))
            }
            None => Ok(Admitted::In(None)),
        }
    }

    /// The whole body, and the place it takes where it had to be read back from its file.
    async fn body_of<B: RequestBody>(
        &self,
        upload: &Upload<B>,
    ) -> Result<(Bytes, Option<OwnedSemaphorePermit>), Refusal> {
        let Some(whole) = upload.whole_so_far() else { return Ok((Bytes::new(), None)) };
        let Some(file) = &whole.file else { return Ok((whole.body.bytes, None)) };
        let permit = self.senders.place_for_body().await.ok_or(Refusal::Overloaded)?;
        match tokio::fs::read(file.path()).await {
            Ok(bytes) => Ok((bytes.into(), Some(permit))),
            Err(error) => {
                tracing::warn!(%error, "the body of a request could not be read to be checked");
                Err(Refusal::Overloaded)
            }
        }
    }

    async fn look(&self, guard: &Arc<Guard>, asked: &Asked) -> Look {
        let (guard, senders) = (Arc::clone(guard), self.senders.clone());
        let looked = move |asked: &Asked| {
            let (request, now_ms) = (asked.request(), senders.clock.now_ms());
            let checked = guard.is_checked.then(|| guard.verifier.verify(&request, now_ms, &senders.keys));
            let mut known = Known::default();
            // What nobody vouches for is not read.
            if !matches!(checked, Some(Err(_))) {
                known.name = guard.provider.event_name(&request);
                known.sender_id = guard.provider.delivery_id(&request);
                known.id_alone = guard.provider.id_alone;
            }
            Look { known, greeting: guard.verifier.greet(&request), checked }
        };
        self.on_a_thread(asked, looked).await
    }

    async fn explain(&self, guard: &Arc<Guard>, asked: Asked, rejection: Rejection) -> Rejection {
        let (guard, senders) = (Arc::clone(guard), self.senders.clone());
        let explained = move |asked: &Asked| {
            guard.verifier.explain(&asked.request(), senders.clock.now_ms(), &senders.keys, &rejection)
        };
        // As much work as some dozen checks: nobody else waits behind it.
        let asked = asked.clone();
        match tokio::task::spawn_blocking(move || explained(&asked)).await {
            Ok(done) => done,
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        }
    }

    /// Short work at once, long work where nobody waits behind it.
    async fn on_a_thread<T: Send + 'static>(
        &self,
        asked: &Asked,
        work: impl FnOnce(&Asked) -> T + Send + 'static,
    ) -> T {
        if asked.body.len() < LONG_BODY_BYTES {
            return work(asked);
        }
        let asked = asked.clone();
        match tokio::task::spawn_blocking(move || work(&asked)).await {
            Ok(done) => done,
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        }
    }

    /// Tells the app what the relay knows of the sender, and signs the request where the destination wants that.
    pub(super) async fn vouch<B: RequestBody>(
        &self,
        order: &mut Order,
        recording: &Recording,
        upload: &Upload<B>,
    ) -> Result<(), Fault> {
        let mut ours: Vec<(&str, String)> = Vec::new();
        let is_verified = recording.event_record().known.signature.is_good();
        if let Some(provider) = order.source.rules.provider.as_ref().filter(|_| is_verified) {
            ours.push(("Relay-Verified", provider.name.clone()));
        }
        let name =
            recording.event_record().known.name.as_ref().filter(|name| is_field_value(name.as_bytes()));
        if let Some(name) = name.filter(|_| order.source.rules.provider.is_some()) {
            ours.push(("Relay-Event-Name", name.clone()));
        }
        let primary = &order.source.destinations[0];
        if primary.rules.sign
            && let Some(whole) = upload.whole_so_far()
        {
            let body = match &whole.file {
                Some(file) => StoredBody::File(file.path().to_owned(), whole.body.total_bytes),
                None => StoredBody::Bytes(whole.body.bytes.clone()),
            };
            let (signing, to, event) = (self.signing.clone(), primary.id, order.event);
            let now_s = self.clock.now_ms() / 1000;
            let sign = move || signing.sign(to, event, now_s, &body);
            let signed = if whole.file.is_some() {
                tokio::task::spawn_blocking(sign)
                    .await
                    .unwrap_or_else(|error| Err(std::io::Error::other(error)))
            } else {
                sign()
            };
            ours.extend(signed.map_err(|_| Fault::Relay(Refusal::Overloaded))?);
        }
        if ours.is_empty() {
            return Ok(());
        }
        let mut headers = HeaderBlock::with_capacity(order.headers.as_bytes().len() + 256);
        let is_ours = |name: &[u8]| ours.iter().any(|(ours, _)| name.eq_ignore_ascii_case(ours.as_bytes()));
        let copied = headers.copy_from(&order.headers, |name, _| !is_ours(name));
        let added = ours.iter().try_for_each(|(name, value)| headers.push(name.as_bytes(), value.as_bytes()));
        copied.and(added).map_err(|_| Fault::Relay(Refusal::HeaderTooLarge))?;
        order.headers = headers;
        Ok(())
    }

    /// Answers a challenge in place of an app that could not be asked.
    pub(super) async fn greet_after_all(
        &self,
        challenge: Option<(Arc<Guard>, Greeting)>,
        order: &Order,
        recording: &mut Recording,
    ) -> Option<Reply> {
        let (guard, greeting) = challenge?;
        match self.greet(&guard, greeting, order, recording).await {
            Ok(Admitted::Greeted(head, body)) => Some(Reply::Answer(head, body)),
            _ => None,
        }
    }

    async fn greet(
        &self,
        guard: &Guard,
        greeting: Greeting,
        order: &Order,
        recording: &mut Recording,
    ) -> Result<Admitted, Refusal> {
        match greeting.then {
            Then::Nothing => {}
            Then::KeepSecret(secret) => {
                if !guard.explained.take(self.clock.now_ms()) {
                    recording.forget_body();
                }
                if !self.keep_secret(order, secret).await {
                    let text = "a handshake that nobody waits for: open the source for it with \
                                `relay-agent source NAME --pair`"
                        .to_owned();
                    let signature = SignatureSeen::Refused("handshake_not_awaited", text);
                    recording.know(Known { signature, ..Known::default() });
                    return Err(Refusal::SignatureInvalid);
                }
            }
            Then::Fetch(url) => {
                // Told only once it is done: a provider that hears no asks again.
                let source = &order.source.slug;
                match self.senders.keys.get(&url).await {
                    Ok(_) => tracing::info!(source.slug = %source, "a subscription was confirmed"),
                    Err(why) => {
                        tracing::warn!(source.slug = %source, why, "a subscription could not be confirmed");
                        return Err(Refusal::Unverifiable);
                    }
                }
            }
        }
        let Answer { status, headers, body } = greeting.answer;
        recording.refused(status, "greeted", Outcome::Greeted(greeting.kind), Timing::default());
        let mut block = HeaderBlock::with_capacity(256);
        for (name, value) in &headers {
            // What a sender wrote and cannot be a field of an answer is left out.
            let _ = block.push(name.as_bytes(), value.as_bytes());
        }
        let _ = block.push(b"Content-Length", body.len().to_string().as_bytes());
        let head = ResponseHead {
            status,
            reason: Vec::new(),
            headers: block,
            body: BodyFraming::Length(body.len() as u64),
            timing: Timing::default(),
            extensions: Extensions::default(),
        };
        Ok(Admitted::Greeted(head, AnswerBody::own(body.into())))
    }

    /// Keeps a secret that came with a handshake, if the source's owner opened it for one. Says whether it did.
    async fn keep_secret(&self, order: &Order, secret: String) -> bool {
        let source = &order.source;
        let is_kept = |kept: &SealedSecret| {
            self.senders.vault.open(source.id, &kept.sealed).as_deref() == Some(secret.as_str())
        };
        // Said once more by a provider that did not hear the answer.
        if source.secrets.iter().any(is_kept) {
            return true;
        }
        if !self.senders.pairings.is_open(source.id, self.clock.now_ms()) {
            return false;
        }
        let sealed = self.senders.vault.seal(source.id, &secret);
        let label = format!("from the provider's handshake, by {}", order.remote);
        let kept = self.intake.store.add_secret(source.project, source.slug.clone(), sealed, label).await;
        if let Err(error) = &kept {
            tracing::error!(%error, source.slug = %source.slug, "a secret of a handshake could not be kept");
            return false;
        }
        self.senders.pairings.close(source.id);
        true
    }
}

/// Whether a challenge that the provider signed, or a source without a secret got, is the relay's to answer.
fn is_ours_to_greet(greet: GreetBy, can_ask_app: bool) -> bool {
    match greet {
        GreetBy::Relay => true,
        GreetBy::AppFirst => !can_ask_app,
        GreetBy::App => false,
    }
}
