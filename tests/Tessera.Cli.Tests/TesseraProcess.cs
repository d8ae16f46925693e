using System.Diagnostics;

namespace Tessera.Cli.Tests;

/// <summary>What a command printed and how it ended.</summary>
public sealed record Outcome(int Code, string Output, string Error)
{
    public string[] Lines => Output.Split('\n', StringSplitOptions.RemoveEmptyEntries);
}

/// <summary>Runs the <c>tessera</c> command as people do: a process of its own, its output piped.</summary>
public static class TesseraProcess
{
    private static readonly string s_program = Path.Combine(AppContext.BaseDirectory, "tessera.dll");

    /// <summary>Runs a command to its end.</summary>
    /// <param name="folder">Where it runs.</param>
    /// <param name="arguments">The command and its arguments.</param>
    /// <param name="input">What it reads from standard input.</param>
    /// <param name="settings">Environment variables.</param>
    public static Outcome Run(string folder, string[] arguments, string input = "", params (string Name, string Value)[] settings)
    {
        using var process = Start(folder, arguments, settings);
        var (output, error) = (process.StandardOutput.ReadToEndAsync(), process.StandardError.ReadToEndAsync());
        process.StandardInput.Write(input);
        process.StandardInput.Close();
        process.WaitForExit();
        return new Outcome(process.ExitCode, output.Result, error.Result);
    }

    /// <summary>Starts a command. Under Linux an interrupt reaches it even where whoever started the tests ignores interrupts.</summary>
    public static Process Start(string folder, string[] arguments, params (string Name, string Value)[] settings)
    {
        string[] program = OperatingSystem.IsLinux() ? ["env", "--default-signal=INT", "dotnet", s_program] : ["dotnet", s_program];
        var start = new ProcessStartInfo(program[0], [.. program[1..], .. arguments])
        {
            WorkingDirectory = folder, RedirectStandardInput = true, RedirectStandardOutput = true, RedirectStandardError = true,
        };
        start.Environment["TESSERA_THREADS"] = "1";
        foreach (var (name, value) in settings) start.Environment[name] = value;
        return Process.Start(start)!;
    }
}
