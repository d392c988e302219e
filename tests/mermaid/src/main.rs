//! Mermaid's own parser: reads an array of texts in JSON from standard input, and writes what each says to standard output. The
//! argument is the published mermaid.min.js.

use rquickjs::{CatchResultExt, Context, Ctx, Function, Promise, Runtime};
use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    let bundle = std::fs::read(std::env::args().nth(1).ok_or("where is mermaid.min.js?")?)?;
    let texts: Vec<String> = serde_json::from_reader(std::io::stdin())?;
    let runtime = Runtime::new()?;
    runtime.set_max_stack_size(8 << 20);
    let answers = Context::full(&runtime)?.with(|ctx| answers(&ctx, bundle, texts))?;
    println!("[{}]", answers.join(","));
    Ok(())
}

fn answers(ctx: &Ctx<'_>, bundle: Vec<u8>, texts: Vec<String>) -> Result<Vec<String>, String> {
    let run = |source: Vec<u8>| ctx.eval::<(), _>(source).catch(ctx).map_err(|error| error.to_string());
    run(include_bytes!("mermaid.js").to_vec())?;
    run(bundle)?;
    let judge: Function<'_> = ctx.eval(include_str!("judge.js")).catch(ctx).map_err(|error| error.to_string())?;
    let answer = |text: String| judge.call::<_, Promise<'_>>((text,)).and_then(|promise| promise.finish::<String>());
    texts.into_iter().map(|text| answer(text).catch(ctx).map_err(|error| error.to_string())).collect()
}
