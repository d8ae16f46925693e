namespace Tessera.Cli.Tests;

[Collection(TinyRunCollection.Name)]
public sealed class BadInputTests(TinyRun tiny)
{
    private const string Metrics = "bleu-4, codexglue-bleu, exact-match, validity, perplexity, bits-per-byte, expert-use, speed, accuracy";
    private const string Keys =
        "name, seed, start, lora, parts, tokenizer, model, data, batches, optimizer, phases, validation, checkpoints, evaluate";

    [Theory]
    [InlineData($"sede: is not a key here; allowed: {Keys}", "--set", "sede=2")]
    [InlineData("model.width: is \"wide\"; expected a whole number", "--set", "model.width=wide")]
    [InlineData(
        "model.decoder.attention.heads: is 3; allowed: a divisor of the width 16, or a headWidth", "--set",
        "model.decoder.attention.heads=3")]
    [InlineData("model.kind: is \"tree\"; allowed: encoder-decoder, decoder, encoder", "--set", "model.kind=tree")]
    [InlineData(
        "tokenizer.vocabulary: is 10; allowed: 260 (the bytes and the special tokens) to 1000000", "--set", "tokenizer.vocabulary=10")]
    [InlineData("--set model.decoder.layers: is not of the form path=value", "--set", "model.decoder.layers")]
    [InlineData("phases[3].steps: leads nowhere: there is no '3'", "--set", "phases[3].steps=1")]
    [InlineData($"evaluate[0]: is 'blue'; allowed: {Metrics}", "--set", "evaluate=[\"blue\"]")]
    [InlineData("data.trainSource: {folder}/nothing.txt does not exist", "--set", "data.trainSource=nothing.txt")]
    [InlineData(
        "parallel files must have equally many lines: {folder}/sources.txt has 60, {folder}/short.txt has 2", "--set",
        "data.trainTarget=short.txt")]
    [InlineData("{folder}/latin.txt:3: byte 0xFF at offset 10 of the file is not valid UTF-8", "--set", "data.trainSource=latin.txt")]
    [InlineData(
        "{folder}/empty.txt: no examples to train on", "--set", "data.trainSource=empty.txt", "--set", "data.trainTarget=empty.txt")]
    public void Training_says_in_one_line_what_is_wrong_and_leaves_nothing(string message, params string[] arguments)
    {
        tiny.Write("short.txt", "one\ntwo\n");
        tiny.Write("empty.txt", "");
        File.WriteAllBytes(tiny.In("latin.txt"), [.. "one\ntwo\nab"u8, 0xFF, .. "c\n"u8]);
        Complains(message, ["train", "tiny.json", "--out", "new", .. arguments]);
        Assert.False(Path.Exists(tiny.In("new")));
    }

    [Fact]
    public void A_machine_without_the_reference_packs_is_told_where_they_were_sought()
    {
        Directory.CreateDirectory(tiny.In("no-packs"));
        var outcome = tiny.Tessera(
            "train",
            "tiny.json",
            "--out",
            "new",
            "--set",
            """data={"kind":"api-pairs","packsFolder":"no-packs","packs":["No.Such.Pack"]}"""
        );
        Assert.Equal(2, outcome.Code);
        Assert.StartsWith(
            $"tessera: there is no reference pack No.Such.Pack; looked in {tiny.In("no-packs")}", outcome.Error, StringComparison.Ordinal);
        Assert.Equal(1, outcome.Error.Count(character => character == '\n'));
        Assert.False(Path.Exists(tiny.In("new")));
    }

    [Theory]
    [InlineData("there is no recipe 'nothing.json'", "train", "nothing.json")]
    [InlineData("cut.json(2,1): is not valid JSON here: it ends before the last { or [ is closed", "recipe", "check", "cut.json")]
    [InlineData("list.json: is not a JSON object", "recipe", "check", "list.json")]
    [InlineData("--length is 0; allowed: 1 to 1048576", "recipe", "show", "tiny.json", "--length", "0")]
    [InlineData("--length is 2000000000; allowed: 1 to 1048576", "recipe", "show", "tiny.json", "--length", "2000000000")]
    [InlineData("--samples is -3; allowed: at least 0", "data", "tiny.json", "--samples", "-3")]
    [InlineData(
        "'run' already holds a run; use --resume to go on with it, or --out to name another folder", "train", "tiny.json", "--out", "run")]
    [InlineData("'run' holds something else than an earlier quickstart; name another folder with --out", "quickstart", "--out", "run")]
    [InlineData("Required command was not provided; Unrecognized command or argument 'trian'; see 'tessera --help'", "trian")]
    [InlineData("'--colour' is no option of 'tessera train'; see 'tessera train --help'", "train", "tiny.json", "--colour")]
    [InlineData("'--output' is no option of 'tessera train'; see 'tessera train --help'", "train", "tiny.json", "--output", "x")]
    [InlineData("'--re' is no option of 'tessera train'; did you mean --resume?; see 'tessera train --help'", "train", "tiny.json", "--re")]
    [InlineData(
        "--samples is '1,0'; allowed: a whole number, without signs between its digits; see 'tessera data --help'", "data", "tiny.json",
        "--samples", "1,0")]
    [InlineData(
        "--tolerance is '5e-5,0'; allowed: a number such as 0.8; see 'tessera verify --help'", "verify", "x", "--tolerance", "5e-5,0")]
    [InlineData("Required argument 'recipe' missing for command: 'show'; see 'tessera recipe show --help'", "recipe", "show")]
    public void Commands_say_in_one_line_what_is_wrong(string message, params string[] arguments)
    {
        tiny.Write("cut.json", "{ \"name\": \n");
        tiny.Write("list.json", "[1]");
        Complains(message, arguments);
    }

    [Theory]
    [InlineData("the prompt is empty", "")]
    [InlineData("there is no text to start from: give it as an argument, by --prompt-file or on standard input")]
    [InlineData("--beam and sampling (--temperature, --top-k, --top-p, --min-p, --typical-p, --epsilon, --xtc, --mirostat) exclude each other", "hi", "--beam", "2", "--temperature", "1")]
    [InlineData("beam width is 65; allowed: 1 to 64", "hi", "--beam", "65")]
    [InlineData("temperature is -1; allowed: greater than 0", "hi", "--temperature", "-1")]
    [InlineData("--seed does nothing without sampling (--temperature, --top-k, --top-p, --min-p, --typical-p, --epsilon, --xtc, --mirostat)", "hi", "--seed", "5")]
    [InlineData("--seed does nothing with --beam", "hi", "--beam", "2", "--seed", "5")]
    [InlineData("--seed does nothing at --temperature 0", "hi", "--temperature", "0", "--seed", "5")]
    [InlineData("--top-p does nothing at --temperature 0", "hi", "--temperature", "0", "--top-p", "0.5")]
    [InlineData("--length-penalty does nothing without --beam", "hi", "--length-penalty", "2")]
    [InlineData("--lines does nothing to a text that is given as an argument", "hi", "--lines")]
    [InlineData("a text and --prompt-file exclude each other", "hi", "--prompt-file", "tiny.json")]
    [InlineData("latin.txt: byte 0xE9 at offset 3 is not valid UTF-8", "--prompt-file", "latin.txt")]
    [InlineData("--truncate is 'left'; allowed: start, end", "hi", "--truncate", "left")]
    [InlineData("--context is 0; allowed: at least 1", "hi", "--context", "0")]
    [InlineData("the context is 41; allowed: 1 to 40, which this model can read", "hi", "--context", "41")]
    [InlineData("top-p is 2; allowed: greater than 0, at most 1", "hi", "--top-p", "2")]
    [InlineData("max new tokens is 2000000000; allowed: 1 to 1048576", "hi", "--max-tokens", "2000000000")]
    [InlineData("min new tokens is 9; allowed: 0 to 4", "hi", "--max-tokens", "4", "--min-tokens", "9")]
    public void Generating_says_in_one_line_what_is_wrong(string message, params string[] arguments)
    {
        File.WriteAllBytes(tiny.In("latin.txt"), [.. "caf"u8, 0xE9, .. "\n"u8]);
        Complains(message, ["generate", "run", .. arguments]);
    }

    [Theory]
    [InlineData("'-n' is no option of 'tessera generate'", "-n", "5", "hi")]
    [InlineData("'--maxtokens' is no option of 'tessera generate'", "hi", "--maxtokens", "5")]
    public void What_looks_like_an_option_and_is_none_is_no_prompt(string message, params string[] arguments) => Complains(
        $"{message}; put texts that begin with - after a lone --; see 'tessera generate --help'", ["generate", "run", .. arguments]);

    [Theory]
    [InlineData("--temperature", "0,8", "a number such as 0.8")]
    [InlineData("--temperature", "1,000.5", "a number such as 0.8")]
    [InlineData("--temperature", "NaN", "a number such as 0.8")]
    [InlineData("--max-tokens", "1,0", "a whole number, without signs between its digits")]
    [InlineData("--max-tokens", "1.0", "a whole number, without signs between its digits")]
    [InlineData("--max-tokens", "9999999999", "a whole number from -2147483648 to 2147483647")]
    [InlineData("--seed", "-1", "a whole number from 0 to 18446744073709551615")]
    public void Numbers_are_written_with_a_point_and_nothing_else(string option, string value, string allowed)
    {
        foreach (var language in new[] { "C.UTF-8", "de_DE.UTF-8" })
        {
            var outcome = TesseraProcess.Run(tiny.Folder, ["generate", "run", "hi", option, value], "", ("LC_ALL", language));
            Assert.Equal(
                (2, $"tessera: {option} is '{value}'; allowed: {allowed}; see 'tessera generate --help'\n"), (outcome.Code, outcome.Error));
        }
    }

    [Fact]
    public void A_prompt_longer_than_the_context_is_told_both_lengths()
    {
        // Bytes that the tokenizer never saw are a token each.
        Complains(
            "the prompt has 61 tokens; allowed: at most 40; --truncate start or --truncate end cuts it",
            ["generate", "run", new string('€', 20)]);
    }

    [Theory]
    [InlineData(
        "TESSERA_KERNELS", "nonsense",
        "TESSERA_KERNELS must be one of scalar, vector128, vector256, vector512, avx512-vnni, avx512-bf16, amx; found 'nonsense'")]
    [InlineData("TESSERA_THREADS", "0", "TESSERA_THREADS must be a number from 1 to 1024, found '0'")]
    public void Settings_of_the_environment_are_checked(string name, string value, string message)
    {
        var outcome = TesseraProcess.Run(tiny.Folder, ["info"], "", (name, value));
        Assert.Equal((2, $"tessera: {message}\n"), (outcome.Code, outcome.Error));
    }

    [Theory]
    [InlineData("evaluate[0]: is 'blue'; allowed: " + Metrics, "run", "--metric", "blue")]
    [InlineData("--examples is 0; allowed: at least 1", "run", "--examples", "0")]
    [InlineData("there is no model folder 'nowhere'", "nowhere")]
    [InlineData("'unfinished' holds no finished model: there is no config.json", "unfinished")]
    public void Evaluating_says_in_one_line_what_is_wrong(string message, params string[] arguments)
    {
        Directory.CreateDirectory(tiny.In("unfinished"));
        File.Copy(tiny.In("run", "recipe.json"), tiny.In("unfinished", "recipe.json"), overwrite: true);
        Complains(message, ["evaluate", .. arguments]);
    }

    private void Complains(string message, string[] arguments)
    {
        var outcome = tiny.Tessera(arguments);
        Assert.Equal(
            (2, $"tessera: {message.Replace("{folder}", tiny.Folder, StringComparison.Ordinal)}\n", ""),
            (outcome.Code, outcome.Error, outcome.Output));
    }
}
