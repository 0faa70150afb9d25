using System.Globalization;
using System.Reflection;
using System.Runtime.InteropServices;
using Google.Protobuf.WellKnownTypes;
using Nephos.Hypervisor.Instances;
using Wire = Nephos.Protos.Compute.V1;

namespace Nephos.Hypervisor.Agent;

/// <summary>What this node offers, measured unless the options say otherwise.</summary>
internal static class NodeFacts
{
    /// <summary>A simulated node is as large as the tests that use it need.</summary>
    private const int SimulatedVcpus = 10_000;
    private const long SimulatedMemoryMib = 64L << 20;
    private const long SimulatedDiskGib = 1 << 20;

    public static Wire.Hello Hello(string nodeName, string nodeAddress, HypervisorOptions options, HypervisorProbe probe, IPortConnector ports, DateTimeOffset now)
    {
        var simulated = probe.Acceleration == AccelerationKind.Simulated;
        return new Wire.Hello
        {
            NodeId = nodeName,
            HostName = nodeName,
            Vcpus = options.Vcpus > 0 ? options.Vcpus : simulated ? SimulatedVcpus : Environment.ProcessorCount,
            MemoryMib = options.MemoryMib > 0 ? options.MemoryMib : simulated ? SimulatedMemoryMib : MemoryMib(),
            DiskGib = options.DiskGib > 0 ? options.DiskGib : simulated ? SimulatedDiskGib : DiskGib(options.StateDirectory),
            Acceleration = probe.Acceleration switch
            {
                AccelerationKind.Kvm => Wire.Acceleration.Kvm,
                AccelerationKind.Tcg => Wire.Acceleration.Tcg,
                AccelerationKind.Simulated => Wire.Acceleration.Simulated,
                _ => throw new ArgumentOutOfRangeException(nameof(probe)),
            },
            AccelerationReason = probe.AccelerationReason,
            NetworkCapability = ports.Kind switch
            {
                PortWiring.Tap => Wire.NetworkCapability.Tap,
                PortWiring.User => Wire.NetworkCapability.User,
                PortWiring.Simulated => Wire.NetworkCapability.Simulated,
                _ => throw new ArgumentOutOfRangeException(nameof(ports)),
            },
            NetworkCapabilityReason = ports.Reason,
            AgentVersion = typeof(NodeFacts).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion ?? "",
            HypervisorType = probe.HypervisorType,
            HypervisorVersion = probe.HypervisorVersion,
            CpuArchitecture = RuntimeInformation.OSArchitecture switch
            {
                Architecture.X64 => "x86_64",
                Architecture.Arm64 => "aarch64",
                var other => other.ToString().ToLowerInvariant(),
            },
            CpuModel = probe.CpuModel,
            HostIp = nodeAddress,
            BootedAt = Timestamp.FromDateTimeOffset(now - TimeSpan.FromMilliseconds(Environment.TickCount64)),
        };
    }

    private static long MemoryMib()
    {
        foreach (var line in File.ReadLines("/proc/meminfo"))
        {
            if (line.StartsWith("MemTotal:", StringComparison.Ordinal))
            {
                return long.Parse(line["MemTotal:".Length..].Replace("kB", "", StringComparison.Ordinal).Trim(), CultureInfo.InvariantCulture) / 1024;
            }
        }
        throw new InvalidDataException("/proc/meminfo has no MemTotal");
    }

    private static long DiskGib(string stateDirectory) => new DriveInfo(stateDirectory).TotalSize >> 30;
}
