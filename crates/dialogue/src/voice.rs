//! From words to sound: pieces of the reply go to TTS and to the playout in order, a few ahead of what is heard.

use crate::action::Action;
use crate::core::Core;
use crate::event::{Component, Event, SpeechPurpose, ToolReplyStatus};
use crate::floor::Floor;
use crate::ids::SegmentId;
use crate::input::{Playout, Tts};
use crate::limits::{FILLER_PATIENCE, MAX_SEGMENT_DURATION, MAX_SEGMENTS_AHEAD};
use crate::machine::Dialogue;
use crate::segment::{Playing, Segment, Synthesis};
use crate::speech::{Speech, Step};
use antiphon_chat::Item;
use antiphon_chat::time::{Duration, Instant};
use antiphon_text::Tongue;

impl Dialogue {
    /// Moves the present speech on as far as it goes now.
    pub(crate) fn speak(&mut self) -> bool {
        self.hold_while_caller_speaks();
        let may_play = !self.floor.is_held();
        let tongue = self.tongue();
        if let Some(kept) = &mut self.speculation
            && self.core.options.preemptive_tts
        {
            cut_pieces(&mut self.core, &mut kept.step);
            let first = kept.step.segments.first_mut().filter(|_| !kept.voiced);
            if let Some(first) = first {
                kept.voiced = true;
                synthesize(&mut self.core, first, tongue);
            }
        }
        let Some(speech) = self.floor.speech_mut() else {
            return false;
        };
        pump(&mut self.core, speech, tongue, may_play);
        self.finish_steps();
        self.change_between_steps();
        self.finish_speech()
    }

    /// Steps whose words were all heard go into the history.
    fn finish_steps(&mut self) {
        let Some(speech) = self.floor.speech_mut() else {
            return;
        };
        let mut shown = false;
        let since = (speech.user_stopped_at, speech.audible_since);
        for (steps, step) in (1..)
            .zip(&mut speech.steps)
            .filter(|(_, step)| !step.written && step.is_spoken())
        {
            if step.started > 0 || !step.calls.is_empty() {
                let speech = speech.id;
                self.core.act(Action::StepSpoken { speech, steps });
            }
            shown |= !step.segments.is_empty();
            step.write(since);
            if speech.in_history && !step.message.text.is_empty() {
                self.core
                    .remember(step.place, Item::Message(step.message.clone()));
            }
        }
        speech.shown |= shown;
    }

    /// Between two steps the agent thinks again.
    fn change_between_steps(&mut self) {
        if let Floor::Speaking(speech) = &self.floor
            && speech.is_between_steps()
            && let Some((speech, _)) = self.floor.take()
        {
            self.floor = Floor::Preparing(speech);
        }
    }

    fn finish_speech(&mut self) -> bool {
        let Some(speech) = self.floor.speech() else {
            return false;
        };
        let spoken = speech.steps.iter().all(Step::is_spoken);
        let over = speech.steps.last().is_some_and(|step| {
            let goes_on = step.started > 0 && step.reply_wanted && !step.failed;
            spoken && (step.failed || step.tools_are_done()) && !goes_on
        });
        if !over {
            return false;
        }
        let Some((mut speech, hold)) = self.floor.take() else {
            return false;
        };
        if hold.is_some_and(|hold| hold.paused) {
            self.core.act(Action::ResumePlayout);
        }
        self.leave_tools(speech.id);
        self.rest();
        self.write_heard(&mut speech, false);
        self.speech_has_asked(&speech);
        self.may_have_told(&speech);
        let failed = speech.steps.iter().any(|step| step.failed) || speech.is_torn();
        // what a tool has reported may have been told already: then the model has nothing to add
        let silent = speech.steps.iter().all(Step::is_mute);
        let mute = silent && speech.purpose != SpeechPurpose::ToolReply;
        if silent && !failed {
            self.reports_are_told(speech.id, ToolReplyStatus::Skipped);
        }
        self.is_done(speech.id, failed || mute);
        let answered = |step: &Step| !step.message.text.is_empty();
        if !failed && !mute && speech.steps.last().is_some_and(answered) {
            self.drop_joined(speech.id);
        }
        self.hand_over(&mut speech);
        if mute && !failed {
            self.core
                .error(Component::Llm, "the model answered nothing", true);
        }
        if speech.is_unheard() && !speech.segments().any(Segment::is_torn) {
            let message = "the voice made no sound of what was to be said";
            self.core.error(Component::Tts, message, true);
        }
        self.own_up(&speech, failed);
        true
    }

    pub(crate) fn on_tts(&mut self, id: SegmentId, event: Tts) {
        if let Tts::Failed(message) = event {
            self.synthesis_failed(id, &message);
            return;
        }
        let now = self.core.now;
        let spoken = self
            .floor
            .sounding_mut()
            .and_then(|speech| speech.segment_mut(id));
        let thought = self
            .speculation
            .as_mut()
            .and_then(|kept| kept.step.segments.iter_mut().find(|own| own.id == id));
        let Some(segment) = spoken
            .or(thought)
            .filter(|segment| !matches!(segment.synthesis, Synthesis::Wanted | Synthesis::Failed))
        else {
            return;
        };
        segment.sign_at = now;
        match event {
            Tts::FirstAudio if segment.synthesis == Synthesis::Asked => {
                segment.synthesis = Synthesis::Arriving;
                segment.first_audio_at = Some(now);
                self.tts_answered();
            }
            Tts::FirstAudio | Tts::Failed(_) => {}
            Tts::Words(words) => segment.add_words(words),
            Tts::Finished { duration } => {
                let duration = duration.min(MAX_SEGMENT_DURATION);
                segment.synthesis = Synthesis::Complete(duration);
                if duration.is_zero() && matches!(segment.playing, Playing::Kept | Playing::Queued)
                {
                    // TTS has nothing to say for it: do not wait for a playout of nothing
                    segment.playing = Playing::Over { whole: false };
                }
            }
        }
    }

    pub(crate) fn on_playout(&mut self, playout: Playout) {
        let now = self.core.now;
        let (Playout::Started { id }
        | Playout::Progress { id, .. }
        | Playout::Finished { id, .. }
        | Playout::Cleared { id, .. }) = playout;
        if let Some(speech) = self.floor.cut_speech_mut() {
            let cut = speech.segment_mut(id);
            if let Some(segment) = cut.filter(|segment| segment.in_playout()) {
                report(segment, playout, now);
            }
            return;
        }
        let Some(speech) = self.floor.speech_mut() else {
            return;
        };
        let Some(segment) = speech
            .segment_mut(id)
            .filter(|segment| segment.in_playout())
        else {
            return;
        };
        report(segment, playout, now);
        // the ones before it are over, whether or not that was said
        for earlier in speech
            .segments_mut()
            .take_while(|segment| segment.id != id)
            .filter(|segment| segment.in_playout())
        {
            earlier.ends();
        }
        if let Playout::Cleared { .. } = playout {
            // nobody asked for it
            return self.output_is_lost("the playout dropped the agent's voice");
        }
        self.became_audible();
        self.show_progress();
    }

    /// The first sound of a speech, or of a step after a silence.
    fn became_audible(&mut self) {
        let now = self.core.now;
        match &mut self.floor {
            Floor::Held(speech, hold) => {
                hold.audible |= speech.is_audible();
            }
            Floor::Preparing(speech) if speech.is_audible() => {
                debug_assert!(
                    !self.is_overheard(),
                    "it becomes audible while the caller speaks"
                );
                if let Some((speech, _)) = self.floor.take() {
                    self.floor = Floor::Speaking(speech);
                }
            }
            Floor::Preparing(_)
            | Floor::Speaking(_)
            | Floor::NotStarted
            | Floor::Open
            | Floor::GivingWay(..)
            | Floor::Closed => {}
        }
        let Some(speech) = self.floor.speech_mut() else {
            return;
        };
        if speech.audible_since.is_none() {
            speech.audible_since = Some(now);
            let metrics = first_audio_metrics(speech, now);
            if speech.turn.is_some() {
                self.core.emit(Event::TurnMetrics(metrics));
            }
        }
    }

    fn show_progress(&mut self) {
        if let Some((speech, hold)) = self.floor.take() {
            let mut speech = speech;
            self.show_heard(&mut speech);
            self.floor = match hold {
                Some(hold) => Floor::Held(speech, hold),
                None if speech.is_audible() || speech.audible_since.is_some() => {
                    Floor::Speaking(speech)
                }
                None => Floor::Preparing(speech),
            };
        }
    }

    /// The transcript follows the voice.
    pub(crate) fn show_heard(&mut self, speech: &mut Speech) {
        for step in &mut speech.steps {
            let mut first_of_step = step.segments.iter().all(|segment| segment.shown == 0);
            for segment in &mut step.segments {
                let heard = segment.heard();
                let Some(words) = segment
                    .text
                    .get(segment.shown..heard)
                    .filter(|words| !words.is_empty())
                else {
                    continue;
                };
                let gap = if segment.shown == 0 && (speech.shown || !first_of_step) {
                    " "
                } else {
                    ""
                };
                self.core.emit(Event::AgentTranscript {
                    speech: speech.id,
                    segment: Some(segment.id),
                    delta: format!("{gap}{words}"),
                    is_final: false,
                    interrupted: false,
                });
                segment.shown = heard;
                first_of_step = false;
                speech.shown = true;
            }
        }
    }

    /// When a piece that gives no sign of life is asked for again, or counts as lost. Paused audio is not expected to give one.
    pub(crate) fn segment_deadline(&self) -> Option<Instant> {
        let spoken = match &self.floor {
            Floor::Preparing(speech) | Floor::Speaking(speech) => Some(speech),
            Floor::Held(..)
            | Floor::GivingWay(..)
            | Floor::NotStarted
            | Floor::Open
            | Floor::Closed => None,
        };
        let speech = spoken?;
        let lost = self.loss_deadline(speech);
        let again = self.retry_deadline(speech);
        lost.map_or(again, |lost| {
            Some(again.map_or(lost, |again| again.min(lost)))
        })
    }

    /// The voice has not had all of its time yet.
    fn is_short_of_patience(&self) -> bool {
        let speech = self.floor.speech();
        speech.is_some_and(|speech| self.patience(speech) < self.core.options.tts_timeout)
    }

    fn loss_deadline(&self, speech: &Speech) -> Option<Instant> {
        let options = &self.core.options;
        let first = speech.segments().find(|segment| !segment.is_over())?;
        let before = || speech.segments().take_while(|segment| segment.is_over());
        let last_sign = |before: Option<Instant>| before.max(Some(first.sign_at));
        // it could not be heard before the one before it was over
        let heard_from = last_sign(before().map(|segment| segment.sign_at).max());
        // a voice that hangs is not given its time anew for each piece that was asked for meanwhile
        let spoken = before().filter(|segment| segment.synthesis != Synthesis::Failed);
        let asked_from = last_sign(spoken.map(|segment| segment.sign_at).max());
        match first.synthesis {
            Synthesis::Wanted => None,
            Synthesis::Asked | Synthesis::Arriving => Some(asked_from? + self.patience(speech)),
            // what has come is reported while it plays
            Synthesis::Failed => Some(heard_from? + options.playout_timeout),
            Synthesis::Complete(duration) => Some(heard_from? + options.playout_timeout + duration),
        }
    }

    /// How long is waited for TTS.
    fn patience(&self, speech: &Speech) -> Duration {
        let timeout = self.core.options.tts_timeout;
        if speech.is_filler() && self.has_more_than_a_filler() {
            timeout.min(FILLER_PATIENCE)
        } else {
            timeout
        }
    }

    /// When a piece that TTS leaves without a sound is asked for again: after half of the time that it has, so that two tries
    /// take no longer than one may. Of those that are missing the first alone: a voice that makes one piece after the other
    /// has not begun with the rest. Also while the piece before it is heard: then the caller notices nothing.
    fn retry_deadline(&self, speech: &Speech) -> Option<Instant> {
        let missing = speech.segments().find(|segment| segment.is_coming())?;
        let patience = self.core.options.tts_timeout / 2;
        let again = missing.may_be_tried_again();
        again.then(|| missing.sign_at + patience)
    }

    pub(crate) fn segment_due(&mut self) {
        let now = self.core.now;
        let Some(speech) = self.floor.speech() else {
            return;
        };
        let is_lost = self.loss_deadline(speech).is_some_and(|due| due <= now);
        let is_it = |segment: &&Segment| {
            if is_lost {
                !segment.is_over()
            } else {
                segment.is_coming()
            }
        };
        let due = speech
            .segments()
            .find(is_it)
            .map(|segment| (segment.id, segment.synthesis));
        let Some((id, synthesis)) = due else {
            return;
        };
        match synthesis {
            _ if !is_lost => {
                if let Some(segment) = self.coming(id) {
                    segment.try_again();
                }
            }
            Synthesis::Wanted => {}
            Synthesis::Asked | Synthesis::Arriving if self.is_short_of_patience() => {
                self.drop_piece(id);
            }
            Synthesis::Asked => self.voice_hangs(id, "no audio came in time"),
            Synthesis::Arriving => self.voice_hangs(id, "the audio stopped in the middle"),
            Synthesis::Complete(_) | Synthesis::Failed => self.playout_failed(),
        }
    }
}

fn report(segment: &mut Segment, playout: Playout, now: Instant) {
    match playout {
        Playout::Started { .. } => {
            segment.playing = Playing::Audible;
            segment.audible_at.get_or_insert(now);
            segment.resumed(now);
        }
        Playout::Progress { played, .. } => {
            segment.playing = Playing::Audible;
            segment.audible_at.get_or_insert(now);
            segment.report(played, now);
        }
        Playout::Finished { played, .. } => {
            segment.report(played, now);
            segment.ends();
            if played.is_zero() {
                // it had no sound
                segment.playing = Playing::Over { whole: false };
            }
        }
        Playout::Cleared { played, .. } => {
            segment.correct(played, now);
            segment.playing = Playing::Over { whole: false };
        }
    }
}

/// Cuts what has arrived into segments.
pub(crate) fn cut_pieces(core: &mut Core, step: &mut Step) {
    while let Some(text) = step.chunker.next_piece() {
        // no voice has a sound for dots and dashes alone
        if text.contains(char::is_alphanumeric) {
            step.clock.first_clause_at.get_or_insert(core.now);
            let id = core.segment_id();
            step.segments.push(Segment::new(id, text, core.now));
        }
    }
}

fn synthesize(core: &mut Core, segment: &mut Segment, tongue: Tongue) {
    segment.synthesis = Synthesis::Asked;
    // a second try has the first one's time
    if !segment.is_second_try || segment.asked_at.is_none() {
        segment.sign_at = core.now;
    }
    segment.asked_at = Some(core.now);
    core.act(Action::Synthesize {
        id: segment.id,
        text: segment.say_in(tongue).to_owned(),
    });
}

/// Cuts, asks for, and plays what the bounds allow, in order.
fn pump(core: &mut Core, speech: &mut Speech, tongue: Tongue, may_play: bool) {
    for step in &mut speech.steps {
        cut_pieces(core, step);
    }
    let mut ahead = speech
        .segments()
        .filter(|segment| segment.is_ahead())
        .count();
    let mut next = true;
    for segment in speech.segments_mut().filter(|segment| !segment.is_over()) {
        if segment.synthesis == Synthesis::Wanted {
            if ahead >= MAX_SEGMENTS_AHEAD {
                break;
            }
            ahead += 1;
            synthesize(core, segment, tongue);
        }
        if may_play && segment.playing == Playing::Kept {
            segment.playing = Playing::Queued;
            segment.next_at = next.then_some(core.now);
            segment.resumed(core.now);
            core.act(Action::Play { id: segment.id });
        }
        next = false;
    }
}

/// How long everything took until this first sound.
fn first_audio_metrics(speech: &mut Speech, now: Instant) -> crate::event::TurnMetrics {
    let mut metrics = speech.metrics;
    if let Some(step) = speech.steps.iter().find(|step| !step.segments.is_empty()) {
        metrics.retrieval = speech.steps.first().and_then(|first| first.clock.retrieval);
        metrics.llm_ttft = step.clock.ttft();
        metrics.llm_ttfs = step.clock.ttfs();
        metrics.tts_ttfb = step.segments.first().and_then(Segment::ttfb);
    }
    metrics.e2e_latency = speech.user_stopped_at.map(|stopped| now.since(stopped));
    speech.metrics = metrics;
    metrics
}
