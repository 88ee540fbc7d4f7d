// Buttons and fields that every panel uses.
import type { ComponentChildren, RefObject } from 'preact';
import { useState } from 'preact/hooks';
import { copy } from '../lib/clipboard.js';
import { Icon, type IconName } from './icon.js';

interface IconButtonProps {
  icon: IconName;
  label: string;
  onClick?: ((event: MouseEvent) => void) | undefined;
  disabled?: boolean;
  class?: string;
  pressed?: boolean;
  expanded?: boolean;
}

export function IconButton({ icon, label, onClick, disabled, class: className = '', pressed, expanded }: IconButtonProps) {
  return (
    <button
      type="button"
      class={`icon-button ${className}`}
      aria-label={label}
      title={label}
      disabled={disabled}
      aria-pressed={pressed}
      aria-expanded={expanded}
      onClick={onClick}
    >
      <Icon name={icon} />
    </button>
  );
}

interface FileFieldProps {
  chooser: RefObject<HTMLInputElement | null>;
  accept: string;
  label: string;
  onFile: (file: File) => void;
}

/** The field of a button that opens files: the button clicks it. The same file can be chosen again. */
export function FileField({ chooser, accept, label, onFile }: FileFieldProps) {
  return (
    <input
      ref={chooser}
      class="unseen"
      type="file"
      accept={accept}
      tabIndex={-1}
      aria-hidden="true"
      aria-label={label}
      onChange={(event) => {
        const file = event.currentTarget.files?.[0];
        event.currentTarget.value = '';
        if (file) onFile(file);
      }}
    />
  );
}

interface ButtonProps {
  children: ComponentChildren;
  onClick?: () => unknown;
  kind?: 'primary' | 'plain' | 'quiet' | 'danger';
  disabled?: boolean;
  icon?: IconName;
  type?: 'button' | 'submit';
  label?: string;
}

export function Button({ children, onClick, kind = 'plain', disabled, icon, type = 'button', label }: ButtonProps) {
  return (
    <button type={type} class={`button ${kind}`} disabled={disabled} aria-label={label} onClick={() => onClick?.()}>
      {icon && <Icon name={icon} />}
      <span>{children}</span>
    </button>
  );
}

/** `wide`: with the label beside the icon. */
export function CopyButton({ text, label = 'Copy', wide = false }: { text: () => string; label?: string; wide?: boolean }) {
  const [copied, setCopied] = useState(false);
  const run = async (): Promise<void> => {
    if (!(await copy(text()))) return;
    setCopied(true);
    setTimeout(() => setCopied(false), 1600);
  };
  const icon = copied ? 'done' : 'copy';
  const says = copied ? 'Copied' : label;
  if (!wide) return <IconButton icon={icon} label={says} onClick={run} />;
  return (
    <Button icon={icon} onClick={run}>
      {says}
    </Button>
  );
}

export function Field({
  label,
  hint,
  id,
  children,
}: {
  label: string;
  hint?: string;
  id: string;
  children: ComponentChildren;
}) {
  return (
    <div class="field">
      <label for={id}>{label}</label>
      {children}
      {hint && (
        <p class="hint" id={`${id}-hint`}>
          {hint}
        </p>
      )}
    </div>
  );
}

interface NumberFieldProps {
  id: string;
  label: string;
  hint: string;
  value: number | null;
  min: number;
  max: number;
  step: number | 'any';
  /** What an empty field means; without it the field may not be empty. */
  empty?: string;
  onChange: (value: number | null) => void;
}

/** Takes a number when it is one within its bounds; what is not stays in the field, marked, and changes nothing. */
export function NumberField({ id, label, hint, value, min, max, step, empty, onChange }: NumberFieldProps) {
  const [typed, setTyped] = useState<string | undefined>(undefined);
  const text = typed ?? (value === null ? '' : String(value));
  const parsed = text.trim() === '' ? null : Number(text);
  const wrong =
    parsed === null
      ? empty === undefined
      : !Number.isFinite(parsed) || parsed < min || parsed > max || (step === 1 && !Number.isInteger(parsed));
  return (
    <Field id={id} label={label} hint={wrong ? `${label}: ${min} to ${max}${step === 1 ? ', a whole number' : ''}.` : hint}>
      <input
        id={id}
        type="number"
        inputMode={step === 1 ? 'numeric' : 'decimal'}
        min={min}
        max={max}
        step={step}
        value={text}
        placeholder={empty}
        aria-describedby={`${id}-hint`}
        aria-invalid={wrong}
        onInput={(event) => {
          const now = event.currentTarget.value;
          setTyped(now);
          const next = now.trim() === '' ? null : Number(now);
          if (
            next === null ? empty !== undefined && !event.currentTarget.validity.badInput : event.currentTarget.validity.valid
          ) {
            onChange(next);
          }
        }}
        onBlur={() => setTyped(undefined)}
      />
    </Field>
  );
}
