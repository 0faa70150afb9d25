using System.Globalization;

namespace Nephos.Fuzzing;

/// <summary>Runs fuzz targets from the command line, one after the other.</summary>
internal static class Program
{
    private static readonly string Usage =
        $"""
        Usage: ./nephos fuzz TARGET [--inputs N] [--seed S] [--first NUMBER]
               ./nephos fuzz TARGET --input BASE64

          TARGET          what to feed, or "all"; see below
          --inputs N      how many inputs (default 100000)
          --seed S        what the inputs are made from (default 1)
          --first NUMBER  the first input (default 0); a finding names its number, and --first NUMBER --inputs 1 repeats it
          --input BASE64  this one input only

        Targets:
        {string.Join('\n', FuzzTargets.All.Select(target => $"  {target.Name,-13}{target.About}"))}
        """;

    private static int Main(string[] arguments)
    {
        var targets = arguments.Length > 0 ? FuzzTargets.All.Where(target => arguments[0] == "all" || target.Name == arguments[0]).ToList() : [];
        var (inputs, seed, first, single) = (100_000L, 1, 0L, (byte[]?)null);
        for (var n = 1; n < arguments.Length; n += 2)
        {
            var value = n + 1 < arguments.Length ? arguments[n + 1] : "";
            var isKnown = arguments[n] switch
            {
                "--inputs" => long.TryParse(value, CultureInfo.InvariantCulture, out inputs) && inputs > 0,
                "--seed" => int.TryParse(value, CultureInfo.InvariantCulture, out seed),
                "--first" => long.TryParse(value, CultureInfo.InvariantCulture, out first) && first >= 0,
                "--input" => (single = FromBase64(value)) is not null,
                _ => false,
            };
            if (!isKnown)
            {
                targets.Clear();
            }
        }
        if (targets.Count == 0)
        {
            Console.Error.WriteLine(Usage);
            return 2;
        }
        var clean = true;
        foreach (var target in targets)
        {
            clean &= single is null ? Run(target, seed, first, inputs) : RunOne(target, single);
        }
        return clean ? 0 : 1;
    }

    private static bool Run(FuzzTarget target, int seed, long first, long inputs)
    {
        var clock = TimeProvider.System;
        var started = clock.GetTimestamp();
        var run = new FuzzRun(target, seed, clock);
        var finding = run.Run(first, inputs, hang =>
        {
            Show(hang);
            Environment.Exit(1);
        });
        if (finding is not null)
        {
            Show(finding);
            return false;
        }
        var seconds = clock.GetElapsedTime(started).TotalSeconds;
        Console.WriteLine($"{target.Name}: {inputs} inputs, nothing found, {seconds:f0} s; slowest {run.Slowest.TotalMilliseconds:f1} ms (number {run.SlowestNumber})");
        return true;
    }

    private static bool RunOne(FuzzTarget target, byte[] input)
    {
        var failure = new FuzzRun(target, 0, TimeProvider.System).Try(input, out var took);
        Console.WriteLine(failure ?? $"{target.Name}: nothing found, {took.TotalMilliseconds:f1} ms");
        return failure is null;
    }

    private static void Show(FuzzFinding finding) => Console.WriteLine(
        $"{finding.Target}: seed {finding.Seed}, input {finding.Number}: {finding.What}\nRepeat it with: ./nephos fuzz {finding.Target} --input {Convert.ToBase64String(finding.Input)}");

    private static byte[]? FromBase64(string text)
    {
        try
        {
            return Convert.FromBase64String(text);
        }
        catch (FormatException)
        {
            return null;
        }
    }
}
