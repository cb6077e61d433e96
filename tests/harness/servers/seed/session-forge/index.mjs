import { serve } from "../server.mjs";

serve(new URL("./", import.meta.url));
