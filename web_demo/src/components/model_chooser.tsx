// A model by its address, or from a file of the person's.
import { useRef, useState } from 'preact/hooks';
import { fileChoice, load, urlChoice, type Choice } from '../state/model.js';
import { Button, FileField } from './controls.js';

export function ModelChooser({ onChosen }: { onChosen?: () => void }) {
  const chooser = useRef<HTMLInputElement>(null);
  const [address, setAddress] = useState('');
  const [wrong, setWrong] = useState('');

  const start = (chosen: Choice): void => {
    onChosen?.();
    void load(chosen);
  };
  const startAddress = (): void => {
    try {
      const chosen = urlChoice(address);
      if (!/^https?:/.test(chosen.kind === 'url' ? chosen.url : '')) throw new Error();
      start(chosen);
    } catch {
      setWrong('This is no web address: one begins with https://');
    }
  };

  return (
    <div class="chooser">
      <form
        class="chooser-address"
        onSubmit={(event) => {
          event.preventDefault();
          if (address.trim()) startAddress();
        }}
      >
        <label for="model-address">Address of a .linnet or .gguf file</label>
        <div class="row">
          <input
            id="model-address"
            type="text"
            inputMode="url"
            autocomplete="off"
            autocapitalize="off"
            spellcheck={false}
            placeholder="https://…"
            value={address}
            aria-invalid={wrong !== ''}
            aria-describedby="model-address-hint"
            onInput={(event) => {
              setAddress(event.currentTarget.value);
              setWrong('');
            }}
          />
          <Button type="submit" icon="download" disabled={!address.trim()}>
            Download
          </Button>
        </div>
        <p class="hint" id="model-address-hint" role={wrong ? 'alert' : undefined}>
          {wrong || 'The server must allow other sites to read it (CORS), as Hugging Face does.'}
        </p>
      </form>
      <div class="chooser-file">
        <Button icon="file" onClick={() => chooser.current?.click()}>
          Open a file on this device
        </Button>
        <FileField chooser={chooser} accept=".linnet,.gguf" label="Model file" onFile={(file) => start(fileChoice(file))} />
        <p class="hint">
          Nothing is uploaded. A .linnet file is read where it is, so choose it again at the next visit; a GGUF file is
          converted and kept.
        </p>
      </div>
    </div>
  );
}
