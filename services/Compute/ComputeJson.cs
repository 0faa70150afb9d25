using System.Text.Json.Serialization;
using Nephos.Compute.Actions;
using Nephos.Compute.Aggregates;
using Nephos.Compute.Flavors;
using Nephos.Compute.Groups;
using Nephos.Compute.Instances;
using Nephos.Compute.Keypairs;
using Nephos.Compute.Migrations;
using Nephos.Compute.Nodes;
using Nephos.Compute.Quotas;

namespace Nephos.Compute;

/// <summary>How the records of this service are written.</summary>
[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase,
    UseStringEnumConverter = true,
    DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(Aggregate))]
[JsonSerializable(typeof(Flavor))]
[JsonSerializable(typeof(ServerGroup))]
[JsonSerializable(typeof(FlavorSeedMark))]
[JsonSerializable(typeof(Keypair))]
[JsonSerializable(typeof(KeypairCounter))]
[JsonSerializable(typeof(QuotaLimits))]
[JsonSerializable(typeof(QuotaUsage))]
[JsonSerializable(typeof(Node))]
[JsonSerializable(typeof(NodeUsage))]
[JsonSerializable(typeof(NodeLease))]
[JsonSerializable(typeof(Instance))]
[JsonSerializable(typeof(InstanceParts))]
[JsonSerializable(typeof(Observation))]
[JsonSerializable(typeof(InstanceAction))]
[JsonSerializable(typeof(Migration))]
[JsonSerializable(typeof(MigrationCounter))]
internal sealed partial class ComputeJson : JsonSerializerContext;
