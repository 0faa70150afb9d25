using System.Diagnostics;
using Nephos.Hypervisor.Metadata;
using Nephos.Testing.Hypervisor;
using Xunit;

namespace Nephos.Probe.Tests.Hypervisor;

/// <summary>The config drive, read by a program that is not ours.</summary>
public sealed class IsoToolTests : IDisposable
{
    private readonly string _file = Path.GetTempFileName();

    public void Dispose() => File.Delete(_file);

    [IsoInfoFact]
    public void The_disc_lists_and_reads_its_long_names()
    {
        File.WriteAllBytes(_file, ConfigDrive.Build(Specs.Running(), TimeProvider.System));
        Assert.Contains("Volume id: config-2", Run("-d", "-i", _file), StringComparison.Ordinal);
        var files = Run("-J", "-f", "-i", _file).Split('\n', StringSplitOptions.RemoveEmptyEntries);
        Assert.Contains("/openstack/latest/meta_data.json", files);
        Assert.Contains("/openstack/content/0000", files);
        Assert.Equal("#!/bin/sh\necho hi\n", Run("-J", "-i", _file, "-x", "/openstack/latest/user_data"));
        Assert.Contains("/OPENSTACK/LATEST/META_DATA.JSON;1", Run("-f", "-i", _file), StringComparison.Ordinal);
    }

    private static string Run(params string[] arguments)
    {
        using var process = Process.Start(new ProcessStartInfo("isoinfo", arguments) { RedirectStandardOutput = true })!;
        var text = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        Assert.Equal(0, process.ExitCode);
        return text;
    }

    [AttributeUsage(AttributeTargets.Method)]
    private sealed class IsoInfoFactAttribute : FactAttribute
    {
        public IsoInfoFactAttribute() => Skip = QemuFactAttribute.Find("isoinfo") is null ? "isoinfo not found: install genisoimage" : null;
    }
}
