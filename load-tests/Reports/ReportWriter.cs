using System.Globalization;
using System.Net;
using System.Text;
using System.Text.Json;
using Nephos.LoadTests.Running;

namespace Nephos.LoadTests.Reports;

/// <summary>Shows what was measured: a table on the console, and a JSON and an HTML file.</summary>
internal static class ReportWriter
{
    public static void WriteConsole(IReadOnlyList<(Scenario Scenario, ScenarioStats Stats)> results)
    {
        Console.WriteLine();
        Console.WriteLine($"{"scenario",-34} {"ok",9} {"failed",7} {"per s",10} {"MB/s",8} {"p50 ms",8} {"p95 ms",8} {"p99 ms",8} {"max ms",8} {"cpu µs/op",10}");
        foreach (var (scenario, stats) in results)
        {
            Console.WriteLine(string.Create(CultureInfo.InvariantCulture,
                $"{scenario.Name,-34} {stats.Succeeded,9} {stats.Failed,7} {stats.Rate,10:0.0} {stats.MegabytesPerSecond,8:0.0} {Ms(stats.Percentile(50)),8} {Ms(stats.Percentile(95)),8} {Ms(stats.Percentile(99)),8} {Ms(stats.Percentile(100)),8} {stats.CpuMicrosecondsPerOperation,10:0}"));
            foreach (var (message, count) in stats.Errors.OrderByDescending(error => error.Value).Take(5))
            {
                Console.WriteLine($"    {count} x {message}");
            }
        }
    }

    public static void WriteFiles(string directory, IReadOnlyList<(Scenario Scenario, ScenarioStats Stats)> results)
    {
        Directory.CreateDirectory(directory);
        var rows = results.Select(result => new
        {
            scenario = result.Scenario.Name,
            succeeded = result.Stats.Succeeded,
            failed = result.Stats.Failed,
            duration_s = result.Stats.Duration.TotalSeconds,
            operations_per_s = result.Stats.Rate,
            megabytes_per_s = result.Stats.MegabytesPerSecond,
            p50_us = result.Stats.Percentile(50),
            p95_us = result.Stats.Percentile(95),
            p99_us = result.Stats.Percentile(99),
            p999_us = result.Stats.Percentile(99.9),
            max_us = result.Stats.Percentile(100),
            server_cpu_us_per_operation = result.Stats.CpuMicrosecondsPerOperation,
            errors = result.Stats.Errors,
            over_time = result.Stats.OverTime.Select(second => new { second.Second, second.Count, p50_us = second.P50, p99_us = second.P99 }),
        }).ToList();
        File.WriteAllText(Path.Combine(directory, "report.json"), JsonSerializer.Serialize(rows, JsonSerializerOptions.Web));
        File.WriteAllText(Path.Combine(directory, "report.html"), Html(results));
        Console.WriteLine($"\nReports: {Path.Combine(directory, "report.html")} and report.json");
    }

    private static string Html(IReadOnlyList<(Scenario Scenario, ScenarioStats Stats)> results)
    {
        var page = new StringBuilder(
            "<!doctype html><meta charset=utf-8><title>Load report</title><style>body{font:14px sans-serif;margin:2em}table{border-collapse:collapse}" +
            "td,th{padding:.3em .8em;text-align:right;border-bottom:1px solid #ddd}td:first-child,th:first-child{text-align:left}svg{margin:.5em 0 1.5em}</style>" +
            "<h1>Load report</h1><table><tr><th>scenario<th>ok<th>failed<th>per s<th>MB/s<th>p50 ms<th>p95 ms<th>p99 ms<th>max ms<th>server CPU µs/op</tr>");
        foreach (var (scenario, stats) in results)
        {
            page.Append(CultureInfo.InvariantCulture,
                $"<tr><td>{WebUtility.HtmlEncode(scenario.Name)}<td>{stats.Succeeded}<td>{stats.Failed}<td>{stats.Rate:0.0}<td>{stats.MegabytesPerSecond:0.0}<td>{Ms(stats.Percentile(50))}<td>{Ms(stats.Percentile(95))}<td>{Ms(stats.Percentile(99))}<td>{Ms(stats.Percentile(100))}<td>{stats.CpuMicrosecondsPerOperation:0}</tr>");
        }
        page.Append("</table>");
        foreach (var (scenario, stats) in results)
        {
            page.Append(CultureInfo.InvariantCulture, $"<h2>{WebUtility.HtmlEncode(scenario.Name)}</h2><p>p50 and p99 in milliseconds over the seconds of the run</p>{Chart(stats)}");
            foreach (var (message, count) in stats.Errors.OrderByDescending(error => error.Value).Take(20))
            {
                page.Append(CultureInfo.InvariantCulture, $"<p>{count} × {WebUtility.HtmlEncode(message)}</p>");
            }
        }
        return page.ToString();
    }

    private static string Chart(ScenarioStats stats)
    {
        const int Width = 800, Height = 160;
        var points = stats.OverTime.ToList();
        if (points.Count == 0)
        {
            return "<p>nothing succeeded</p>";
        }
        var top = Math.Max(1, points.Max(point => point.P99));
        string Line(Func<(int Second, long Count, long P50, long P99), long> value, string color) => string.Create(CultureInfo.InvariantCulture,
            $"<polyline fill=none stroke={color} stroke-width=2 points=\"{string.Join(' ', points.Select((point, index) => string.Create(CultureInfo.InvariantCulture, $"{Width * index / Math.Max(1, points.Count - 1)},{Height - ((Height - 10) * value(point) / top)}")))}\"/>");
        return string.Create(CultureInfo.InvariantCulture,
            $"<svg width={Width} height={Height + 20} style='border:1px solid #ccc'>{Line(point => point.P99, "#c33")}{Line(point => point.P50, "#36c")}<text x=4 y=14 font-size=12>{Ms(top)} ms</text></svg>");
    }

    private static string Ms(long microseconds) => (microseconds / 1000.0).ToString(microseconds < 10_000 ? "0.00" : "0.0", CultureInfo.InvariantCulture);
}
