// Makes the TypeScript client in generated/ out of the committed idl/sip.json. Usage: node generate.mjs
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { createFromJson } from 'codama';
import { renderVisitor } from '@codama/renderers-js';

const here = name => fileURLToPath(new URL(name, import.meta.url));
const idl = createFromJson(readFileSync(here('../../idl/sip.json'), 'utf8'));
await idl.accept(
    renderVisitor(here('.'), {
        deleteFolderBeforeRendering: true,
        formatCode: false,
        generatedFolder: 'generated',
        syncPackageJson: false,
    }),
);
