/**
 * Everything the page says, in the language of the person. `gettext` and `ngettext` are those of
 * Django's catalogue; without it, when it could not be loaded, the page speaks English.
 */

/** @import { Mismatch, SessionToResume, UploadFailure, UploadPhase, UploadStatus, UploadTotals, WrongFileValues } from "../types.d.ts" */

const catalogue = /** @type {any} */ (globalThis).django ?? {};

/** @param {string} text */
export function gettext(text) {
  return catalogue.gettext ? String(catalogue.gettext(text)) : text;
}

/**
 * @param {string} one
 * @param {string} many
 * @param {number} count
 */
export function ngettext(one, many, count) {
  if (catalogue.ngettext) return String(catalogue.ngettext(one, many, count));
  return count === 1 ? one : many;
}

/**
 * Puts values where the text says %(name)s.
 *
 * @param {string} text
 * @param {Record<string, unknown>} values
 */
export function fill(text, values) {
  return text.replace(/%\((\w+)\)s/g, (whole, name) => String(values[name] ?? whole));
}

// ------------------------------------------------------------------- numbers

const language = document.documentElement.lang || "en";
const oneDecimal = new Intl.NumberFormat(language, {
  minimumFractionDigits: 1,
  maximumFractionDigits: 1,
});
const whole = new Intl.NumberFormat(language);

/** @param {number} number */
export function count(number) {
  return whole.format(number);
}

/**
 * As Django's `filesizeformat` writes it, so that both halves of a row agree.
 *
 * @param {number} bytes
 */
export function size(bytes) {
  if (bytes < 1024) {
    const rounded = Math.round(bytes);
    const text = ngettext("%(count)s byte", "%(count)s bytes", rounded);
    return fill(text, { count: rounded }).replace(" ", "\u00a0");
  }
  const units = ["KB", "MB", "GB", "TB", "PB"];
  const power = Math.min(units.length, Math.floor(Math.log2(bytes) / 10));
  return `${oneDecimal.format(bytes / 1024 ** power)}\u00a0${units[power - 1]}`;
}

/**
 * @param {number} part
 * @param {number} all
 */
export function percent(part, all) {
  return all > 0 ? Math.floor((part / all) * 100) : 100;
}

/** @param {number} seconds */
export function duration(seconds) {
  if (seconds < 60) {
    return fill(gettext("%(count)s s"), { count: Math.max(1, Math.round(seconds)) });
  }
  const minutes = Math.round(seconds / 60);
  if (minutes < 60) return fill(gettext("%(count)s min"), { count: minutes });
  return fill(gettext("%(hours)s h %(minutes)s min"), {
    hours: Math.floor(minutes / 60),
    minutes: minutes % 60,
  });
}

// ---------------------------------------------------------------- one upload

/** @type {Record<UploadPhase, string>} */
export const LABELS = {
  waiting: gettext("Waiting"),
  checking: gettext("Checking"),
  sending: gettext("Sending"),
  paused: gettext("Paused"),
  offline: gettext("Offline"),
  retrying: gettext("Retrying"),
  verifying: gettext("Verifying"),
  done: gettext("Done"),
  failed: gettext("Stopped"),
  cancelled: gettext("Cancelled"),
};

export const ALREADY_HERE = gettext("Already here");

/** What the button that resumes is called in the tray. @param {UploadPhase} phase */
export function resumeButton(phase) {
  if (phase === "failed") return gettext("Try again");
  return phase === "retrying" ? gettext("Try now") : gettext("Resume");
}

/**
 * @param {UploadStatus} status
 * @returns {string}
 */
export function lineFor(status) {
  const { phase, existed, error, retryAt } = status;
  if (existed) return gettext("The server has this very file already: it need not be sent.");
  switch (phase) {
    case "waiting":
      return gettext("Waiting for its turn.");
    case "checking":
      return reading(status);
    case "sending":
      return pace(status);
    case "paused":
      return gettext("Paused. What the server has is kept.");
    case "offline":
      return gettext("There is no network. This goes on by itself when it is back.");
    case "retrying":
      return `${error ? sentence(error) : ""} ${countdown(retryAt)}`.trim();
    case "verifying":
      return gettext("All sent. The server is checking the whole file.");
    case "failed":
      return error ? sentence(error) : "";
    default:
      return "";
  }
}

/** @param {UploadStatus} status */
function reading({ total, checked, acknowledged, comparing }) {
  if (comparing) return gettext("Comparing the file with what the server has of it.");
  const text =
    acknowledged === total
      ? gettext("All sent. Reading the file to its end, to check that it arrived as it is: %(percent)s %")
      : gettext("Reading the file to know it by its content: %(percent)s %");
  return fill(text, { percent: percent(checked, total) });
}

/**
 * Bytes that a bar shows: while a file is read before it is sent, how far that is.
 *
 * @param {UploadStatus} status
 */
export function barOf({ phase, checked, comparing, sent, total, acknowledged }) {
  if (phase === "sending") return sent;
  const isRead = phase === "checking" && !comparing && acknowledged < total;
  return isRead ? checked : acknowledged;
}

/** @param {UploadStatus} status */
function pace({ speed, timeLeft, sent, acknowledged }) {
  if (speed < 1 || timeLeft === null) return gettext("Starting.");
  const parts = [
    fill(gettext("%(speed)s/s"), { speed: size(speed) }),
    fill(gettext("%(time)s left"), { time: duration(timeLeft) }),
  ];
  if (sent > acknowledged) {
    parts.unshift(fill(gettext("%(size)s on the way"), { size: size(sent - acknowledged) }));
  }
  return parts.join(" · ");
}

/** @param {number | null} moment */
function countdown(moment) {
  const seconds = Math.ceil(((moment ?? 0) - Date.now()) / 1000);
  if (seconds <= 0) return gettext("Trying again.");
  return fill(gettext("Trying again in %(time)s."), { time: duration(seconds) });
}

/**
 * The bytes of an upload that are in, of all; for the tray.
 *
 * @param {UploadStatus} status
 */
export function amount({ session, existed, acknowledged, total }) {
  if (!session || existed) return size(total);
  return fill(gettext("%(part)s of %(whole)s"), { part: size(acknowledged), whole: size(total) });
}

// ------------------------------------------------------------- what went wrong

/** Codes for what a proxy before the server answers. @type {Record<number, string>} */
const BY_STATUS = { 429: "busy", 502: "busy", 503: "busy", 504: "busy", 507: "storage_full" };

/**
 * What happened, that nothing is lost, and what to do: by the code of the failure. What has no
 * sentence here has one of its own, in English.
 *
 * @param {UploadFailure} error
 */
export function sentence(error) {
  const { code, values, message, status } = error;
  switch (code === "unexpected_answer" ? (BY_STATUS[status] ?? code) : code) {
    case "wrong_file":
      return wrongFile(/** @type {any} */ (values));
    case "source_changed":
      return gettext(
        "The file was changed, moved or deleted while it was being sent. Nothing that arrived is lost. Choose it again to go on.",
      );
    case "signed_out":
      return gettext("You are signed out. Nothing sent so far is lost: sign in and resume.");
    case "network":
      return gettext("The server cannot be reached. Nothing sent so far is lost.");
    case "verification_failed":
      return gettext(
        "What arrived is not the file that was announced: it may have been changed while it was sent. Nothing of it was kept. Try again to send it anew.",
      );
    case "not_finishing":
      return gettext(
        "The server finds this upload damaged again and again. Its storage may be faulty.",
      );
    case "session_gone":
      return gettext("The server has dropped this upload twice. Resume to try again.");
    case "hashing_failed":
      return gettext("This browser could not read the file to the end. Try again.");
    case "too_large":
      if (!values.limit) return message;
      return fill(gettext("This file is too large: this server takes files of at most %(size)s."), {
        size: size(Number(values.limit)),
      });
    case "quota_exceeded":
      return values.quota === "uploads"
        ? gettext(
            "You have as many unfinished uploads as you may. Nothing is lost: finish or cancel some, then try again.",
          )
        : gettext(
            "You have no room left here. Nothing is lost: delete files or cancel uploads, then try again. What was deleted counts for a minute more.",
          );
    case "storage_full":
      return gettext(
        "The server’s disk is full. Nothing was lost: what was received stays, and the upload goes on once there is room.",
      );
    case "storage_unavailable":
    case "unavailable":
    case "too_many_requests":
    case "busy":
      return gettext("The server is busy. Nothing was lost: this goes on by itself.");
    case "unexpected_answer":
      return fill(
        gettext("The server’s answer was not understood (%(status)s). Nothing sent so far is lost."),
        { status },
      );
    case "internal":
      return gettext("Something in this page went wrong. Resume to try again.");
    case "ticket_expired":
    case "ticket_invalid":
      return gettext(
        "This page is too old to send the file. Nothing is lost: load it anew, and choose the file again.",
      );
    case "type_not_allowed":
      return gettext(
        "A file of this kind, or of this name, is not taken here. Choose another one, or give it its right name.",
      );
    // The server has said why, in the language of the person.
    case "content_refused":
      return message;
    case "invalid_filename":
      return gettext("The server cannot take a file of this name. Rename it and send it again.");
    default:
      return message;
  }
}

/** @param {WrongFileValues} values */
function wrongFile(values) {
  const sizes = { ...values, size: count(values.size), expectedSize: count(values.expectedSize) };
  return `${fill(difference(values), sizes)} ${gettext(
    "What the server has is as it was. Choose the file that the upload was begun with, or cancel it and send this one anew.",
  )}`;
}

/** @param {WrongFileValues} values */
function difference({ reason, filename, expected }) {
  if (reason === "size" && filename === expected) {
    return gettext(
      "Same name, other size: the interrupted upload expects %(expectedSize)s bytes, this file has %(size)s.",
    );
  }
  if (reason === "size") {
    return gettext(
      "This is another file: the interrupted upload of “%(expected)s” expects %(expectedSize)s bytes, “%(filename)s” has %(size)s.",
    );
  }
  if (reason === "shorter") {
    return gettext(
      "This is another file: %(expectedSize)s bytes of “%(expected)s” are here already, “%(filename)s” has only %(size)s.",
    );
  }
  if (filename === expected) {
    return gettext("This is another file, or it has changed: “%(filename)s” has the same name but other content.");
  }
  return gettext(
    "This is another file: “%(filename)s” has other content than “%(expected)s”.",
  );
}

/**
 * Why a chosen file continues none of the interrupted uploads.
 *
 * @param {{ file: { name: string, size: number }, reason: Mismatch, session: SessionToResume | null }} file
 */
export function mismatch({ file, reason, session }) {
  if (reason === "same_name_other_size" && session) {
    const text =
      session.size === null
        ? gettext(
            "%(name)s: same name, but shorter. %(expected)s bytes of the interrupted upload are here already, this file has %(size)s.",
          )
        : gettext(
            "%(name)s: same name, other size. The interrupted upload has %(expected)s bytes, this file %(size)s.",
          );
    const expected = count(session.size ?? session.offset ?? 0);
    return fill(text, { name: file.name, expected, size: count(file.size) });
  }
  return fill(gettext("%(name)s: no interrupted upload has this name and size."), {
    name: file.name,
  });
}

// ---------------------------------------------------------------- all together

/** @param {UploadTotals} totals */
export function headline({ files, done, active, failed, paused }) {
  if (active) {
    const text = ngettext(
      "%(done)s of %(files)s file is complete",
      "%(done)s of %(files)s files are complete",
      files,
    );
    return fill(text, { done: count(done), files: count(files) });
  }
  if (paused) {
    return fill(ngettext("%(count)s upload is paused", "%(count)s uploads are paused", paused), {
      count: count(paused),
    });
  }
  return fill(ngettext("%(count)s upload has stopped", "%(count)s uploads have stopped", failed), {
    count: count(failed),
  });
}

/** @param {UploadTotals} totals */
export function totalsLine(totals) {
  const { bytes, bytesSent, speed, timeLeft, active, failed, waitingForNetwork } = totals;
  const parts = [
    fill(gettext("%(part)s of %(whole)s"), { part: size(bytesSent), whole: size(bytes) }),
    fill(gettext("%(percent)s %"), { percent: percent(bytesSent, bytes) }),
  ];
  if (speed >= 1) parts.push(fill(gettext("%(speed)s/s"), { speed: size(speed) }));
  if (timeLeft !== null) parts.push(fill(gettext("%(time)s left"), { time: duration(timeLeft) }));
  if (waitingForNetwork) parts.push(gettext("no network"));
  else if (totals.nextAttempt !== null && speed < 1) parts.push(countdown(totals.nextAttempt));
  if (failed && active) {
    parts.push(fill(ngettext("%(count)s stopped", "%(count)s stopped", failed), { count: failed }));
  }
  return parts.join(" · ");
}

/** @param {UploadTotals} totals of a batch that has come to its end */
export function ending({ done, failed }) {
  const parts = [];
  if (done) {
    parts.push(
      fill(
        ngettext(
          "%(count)s file is complete and verified.",
          "%(count)s files are complete and verified.",
          done,
        ),
        { count: count(done) },
      ),
    );
  }
  if (failed) {
    parts.push(
      fill(ngettext("%(count)s upload has stopped.", "%(count)s uploads have stopped.", failed), {
        count: count(failed),
      }),
    );
  }
  return parts.join(" ");
}

/** Worth a word to those who cannot see the page; the rest would chatter. */
const ANNOUNCED = /** @type {Partial<Record<UploadPhase, string>>} */ ({
  done: gettext("%(name)s: complete and verified"),
  paused: gettext("%(name)s: paused"),
  offline: gettext("%(name)s: waiting for the network"),
  failed: gettext("%(name)s: stopped."),
  cancelled: gettext("%(name)s: cancelled"),
});

/**
 * Empty when the phase is not worth a word.
 *
 * @param {UploadPhase} phase
 * @param {string} name
 * @param {UploadFailure | null} error
 */
export function announcement(phase, name, error) {
  const text = ANNOUNCED[phase];
  if (!text) return "";
  return `${fill(text, { name })} ${error ? sentence(error) : ""}`.trim();
}
